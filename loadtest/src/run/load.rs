//! One block of load: closed (each session works without pause) or open (operations are due at a constant rate and
//! latency counts from the scheduled moment, so that a stall is paid for by all that had to wait). Sessions and their
//! connections last for one block: where a connection lands (which worker, beside which other) would otherwise be a
//! constant of its target, which no number of rounds averages out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::target::Resolved;
use crate::error::{Error, Result};
use crate::http::h1::H1;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::net::timer::Timer;
use crate::plan::{Case, Load};
use crate::rng::Rng;
use crate::session::{Sample, Session};

/// At most this many connections are opened at the same time.
const OPENING: usize = 128;
/// A session that fails so often in a row, or overall one operation in ten, means that the server is gone.
const FAILURES_IN_A_ROW: u64 = 5;

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
}

impl Crew {
    pub fn new(case: &Arc<Case>, target: Resolved, rng: &mut Rng) -> Self {
        Self {
            target,
            case: Arc::clone(case),
            sessions: Vec::new(),
            rng: Rng::new(rng.draw()),
            held: Held::new(),
        }
    }

    /// Makes the sessions of a block and opens what they keep.
    pub async fn prepare(&mut self) -> Result<()> {
        let mut rest = sessions(&self.case, &self.target, &mut self.rng)?;
        while !rest.is_empty() {
            let mut opening = JoinSet::new();
            for mut session in rest.drain(rest.len().saturating_sub(OPENING)..) {
                opening.spawn(async move { session.prepare().await.map(|()| session) });
            }
            while let Some(opened) = opening.join_next().await {
                let session = opened
                    .map_err(|error| Error::Process(format!("a session broke: {error}")))??;
                self.sessions.push(session);
            }
        }
        Ok(())
    }

    /// One operation outside any block.
    pub async fn probe(&mut self) -> Result<()> {
        let mut sessions = sessions(&self.case, &self.target, &mut self.rng)?;
        let Some(session) = sessions.first_mut() else {
            return Ok(());
        };
        let done = session
            .operate(Instant::now(), &mut Sample::default())
            .await;
        session.close().await;
        done
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
            drop(tokio::time::timeout(Duration::from_secs(1), h1.stream.close()).await);
        }
    }

    /// Works for a time; the time it really took, to the end of the last operation begun in it.
    pub async fn work(&mut self, time: Duration) -> Result<(Sample, Duration)> {
        let start = Instant::now();
        let deadline = start + time;
        let schedule = match self.case.load {
            Load::Closed { .. } => None,
            Load::Open { per_second, .. } => Some(Schedule::start(start, time, per_second)?),
        };
        let mut working = JoinSet::new();
        for session in self.sessions.drain(..) {
            match &schedule {
                None => working.spawn(closed(session, deadline)),
                Some(schedule) => working.spawn(open(
                    session,
                    Arc::clone(&schedule.due),
                    deadline + time * 4,
                )),
            };
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
        if let Some(schedule) = schedule {
            whole.unserved += schedule.left().await;
        }
        let elapsed = start.elapsed();
        self.check_failures(&whole, failure).await?;
        Ok((whole, elapsed))
    }

    /// An error where more than one operation in ten failed: the target has stopped answering only if it takes no new
    /// connection either.
    async fn check_failures(&self, sample: &Sample, failure: Option<Error>) -> Result<()> {
        let error = match failure {
            Some(error) if error.is_fatal() => return Err(error),
            Some(error) if sample.ops < sample.errors * 10 => error,
            _ => return Ok(()),
        };
        let target = self.target.plan.name.clone();
        let case = self.case.title();
        let message = format!(
            "{} of {} operations failed, one with: {error}",
            sample.errors,
            sample.ops + sample.errors
        );
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

type Worked = (Session, Sample, Option<Error>);

async fn closed(mut session: Session, deadline: Instant) -> Worked {
    let mut sample = Sample::default();
    let mut troubles = Troubles::default();
    let begun = session.stagger_start(&mut sample).await;
    if troubles.note(begun, &mut sample) {
        return (session, sample, troubles.last);
    }
    loop {
        let done = session.operate(Instant::now(), &mut sample).await;
        if troubles.note(done, &mut sample) || Instant::now() >= deadline {
            return (session, sample, troubles.last);
        }
    }
}

async fn open(mut session: Session, due: Due, give_up: Instant) -> Worked {
    let mut sample = Sample::default();
    let mut troubles = Troubles::default();
    loop {
        let Some(moment) = due.lock().await.recv().await else {
            return (session, sample, troubles.last);
        };
        if Instant::now() > give_up {
            sample.unserved += 1;
            // Its wait so far is the least it would have taken.
            sample.latency.push(moment.elapsed().as_nanos() as u64);
            continue;
        }
        let done = session.operate(moment, &mut sample).await;
        if troubles.note(done, &mut sample) {
            return (session, sample, troubles.last);
        }
    }
}

#[derive(Debug, Default)]
struct Troubles {
    last: Option<Error>,
    in_a_row: u64,
}

impl Troubles {
    /// True when the session should stop.
    fn note(&mut self, done: Result<()>, sample: &mut Sample) -> bool {
        let Err(error) = done else {
            self.in_a_row = 0;
            return false;
        };
        sample.errors += 1;
        self.in_a_row += 1;
        let fatal = error.is_fatal();
        self.last = Some(error);
        fatal || self.in_a_row >= FAILURES_IN_A_ROW
    }
}

type Due = Arc<Mutex<mpsc::UnboundedReceiver<Instant>>>;

/// The moments at which operations are due, handed out as they come.
struct Schedule {
    due: Due,
}

impl Schedule {
    fn start(start: Instant, time: Duration, per_second: f64) -> Result<Self> {
        let (announce, due) = mpsc::unbounded_channel();
        let mut timer = Timer::new().map_err(|source| Error::System {
            what: "timer for the arrival rate",
            source,
        })?;
        let count = (time.as_secs_f64() * per_second).floor() as u32;
        tokio::spawn(async move {
            for arrival in 0..count {
                let moment = start + Duration::from_secs_f64(f64::from(arrival) / per_second);
                // A timer that fails ends the schedule; what was not handed out is then missing from the count.
                if timer.sleep_until(moment).await.is_err() || announce.send(moment).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            due: Arc::new(Mutex::new(due)),
        })
    }

    /// Operations no session was left for.
    async fn left(self) -> u64 {
        let mut due = self.due.lock().await;
        let mut left = 0;
        while due.recv().await.is_some() {
            left += 1;
        }
        left
    }
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schedule")
    }
}
