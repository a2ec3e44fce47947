//! One block of load: closed (each session works without pause) or open (operations are due at a constant rate and
//! latency counts from the scheduled moment, so that a stall is paid for by all that had to wait). Sessions and their
//! connections last for one block: where a connection lands (which worker, beside which other) would otherwise be a
//! constant of its target, which no number of rounds averages out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::schedule::Schedule;
use super::target::Resolved;
use super::working::{FAILURES_IN_A_ROW, Pace, worked};
use crate::error::{Error, Result};
use crate::http::h1::H1;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::plan::{Case, Load};
use crate::rng::Rng;
use crate::session::{Sample, Session};

/// At most this many connections are opened at the same time.
const OPENING: usize = 128;

/// Connections held open until a case ends.
pub type Held = Vec<H1<Stream<Socket>>>;

/// All sessions of one target.
#[derive(Debug)]
pub struct Crew {
    pub target: Resolved,
    pub case: Arc<Case>,
    /// Of the block under way.
    sessions: Vec<Session>,
    rng: Rng,
    /// Connections of the idle scenario.
    pub held: Held,
    /// Attempts to open a connection of the block under way that failed.
    unopened: u64,
    /// How long an operation may take.
    pub patience: Duration,
}

impl Crew {
    pub fn new(case: &Arc<Case>, target: Resolved, rng: &mut Rng) -> Self {
        Self {
            target,
            case: Arc::clone(case),
            sessions: Vec::new(),
            rng: Rng::new(rng.draw()),
            held: Held::new(),
            unopened: 0,
            patience: case.patience(),
        }
    }

    /// Makes the sessions of a block and opens what they keep.
    pub async fn prepare(&mut self) -> Result<()> {
        self.unopened = 0;
        let mut rest = sessions(&self.case, &self.target, &mut self.rng)?;
        while !rest.is_empty() {
            let mut opening = JoinSet::new();
            for session in rest.drain(rest.len().saturating_sub(OPENING)..) {
                opening.spawn(opened(session, self.patience));
            }
            while let Some(opened) = opening.join_next().await {
                let (session, failed) = opened
                    .map_err(|error| Error::Process(format!("a session broke: {error}")))??;
                self.sessions.push(session);
                self.unopened += failed;
            }
        }
        Ok(())
    }

    /// Connections of the block that failed when they were opened: operations that failed.
    pub fn unopened(&self) -> u64 {
        self.unopened
    }

    /// One operation outside any block.
    pub async fn probe(&mut self) -> Result<()> {
        let mut sessions = sessions(&self.case, &self.target, &mut self.rng)?;
        let Some(session) = sessions.first_mut() else {
            return Ok(());
        };
        let mut sample = Sample::default();
        let operation = session.operate(Instant::now(), &mut sample);
        match timeout(self.patience, operation).await {
            Ok(done) => {
                session.close().await;
                done
            }
            Err(_) => Err(session.abandon()),
        }
    }

    /// After a block: its connections are closed in order, the next block draws its own.
    pub async fn rest(&mut self) {
        let mut closing = JoinSet::new();
        for mut session in self.sessions.drain(..) {
            closing.spawn(async move { session.close().await });
        }
        while closing.join_next().await.is_some() {}
    }

    /// After the last block.
    pub async fn dismiss(&mut self) {
        self.rest().await;
        for mut h1 in self.held.drain(..) {
            // Closing is courtesy here: memory was measured, bytes were counted.
            drop(timeout(Duration::from_secs(1), h1.stream.close()).await);
        }
    }

    /// Works for a time; the time it really took, to the end of the last operation begun in it. Under open load it lasts
    /// until the next operation would be due, or a rate would be that of how fast operations are, not of how many came.
    pub async fn work(&mut self, time: Duration) -> Result<(Sample, Duration)> {
        let start = Instant::now();
        let deadline = start + time;
        let schedule = match self.case.load {
            Load::Closed { .. } => None,
            Load::Open { per_second, .. } => Some(Schedule::start(start, time, per_second)?),
        };
        let mut working = JoinSet::new();
        for session in self.sessions.drain(..) {
            let pace = match &schedule {
                None => Pace::Closed(deadline),
                Some(schedule) => Pace::Open(Arc::clone(&schedule.due), deadline + time * 4),
            };
            working.spawn(worked(session, pace, self.patience));
        }
        let mut whole = Sample::default();
        let mut failure = None;
        while let Some(done) = working.join_next().await {
            let (session, sample, error) =
                done.map_err(|error| Error::Process(format!("a session broke: {error}")))?;
            self.sessions.push(session);
            whole.absorb(sample);
            failure = failure.or(error);
        }
        let mut elapsed = start.elapsed();
        if let Some(schedule) = schedule {
            // How late the sleep ends is no time of the block.
            let least = schedule.end.saturating_duration_since(start);
            tokio::time::sleep_until(schedule.end.into()).await;
            whole.unserved += schedule.left().await;
            elapsed = elapsed.max(least);
        }
        self.check_failures(&whole, failure).await?;
        Ok((whole, elapsed))
    }

    /// An error where more than one operation in ten failed, or was due and never begun: the target has stopped answering
    /// only if it takes no new connection either.
    async fn check_failures(&self, sample: &Sample, failure: Option<Error>) -> Result<()> {
        let failure = match failure {
            Some(error) if error.is_fatal() => return Err(error),
            failure => failure,
        };
        let (errors, unserved) = (sample.errors, sample.unserved);
        if sample.ops >= errors.max(unserved) * 10 {
            return Ok(());
        }
        let all = sample.ops + errors + unserved;
        let mut reasons = Vec::new();
        if let Some(error) = failure {
            reasons.push(format!(
                "{errors} of {all} operations failed, one with: {error}"
            ));
        }
        if unserved > 0 {
            reasons.push(format!(
                "{unserved} of {all} operations were due, and no connection was free for them long after the block; lower the \
                 rate, or use more connections"
            ));
        }
        let message = reasons.join("; ");
        let target = self.target.plan.name.clone();
        let case = self.case.title();
        Err(match self.target.probe_handshake().await {
            Ok(()) => Error::Failed {
                target,
                case,
                message,
            },
            Err(_) => Error::Died {
                target,
                case,
                message,
            },
        })
    }
}

/// The sessions of one target for one case.
fn sessions(case: &Arc<Case>, target: &Resolved, rng: &mut Rng) -> Result<Vec<Session>> {
    let mut sessions: Vec<Session> = Vec::new();
    for _ in 0..case.load.connections() {
        let first = sessions.len();
        for stream in 0..case.streams {
            let session = Session::new(case, &target.endpoint, target.plan.role, rng.draw())?;
            sessions.push(match sessions.get(first) {
                Some(other) if stream > 0 => session.beside(other),
                _ => session,
            });
        }
    }
    Ok(sessions)
}

/// Opens what a session keeps. One connection that fails is counted and tried again, as within a block; only a target
/// that refuses several in a row has failed.
async fn opened(mut session: Session, patience: Duration) -> Result<(Session, u64)> {
    let mut failed = 0;
    loop {
        let Ok(prepared) = timeout(patience, session.prepare()).await else {
            return Err(session.abandon());
        };
        match prepared {
            Ok(()) => return Ok((session, failed)),
            Err(error) => {
                failed += 1;
                if !error.is_of_target() || failed >= FAILURES_IN_A_ROW {
                    return Err(error);
                }
            }
        }
    }
}
