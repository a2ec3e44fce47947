//! What one session does in a block: operation after operation, until the block ends, too many fail or one does not end.

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::schedule::Due;
use crate::error::{Error, Result};
use crate::session::{Sample, Session};

/// A session that fails so often in a row, or overall one operation in ten, means that the server is gone.
pub(super) const FAILURES_IN_A_ROW: u64 = 5;

pub(super) type Worked = (Session, Sample, Option<Error>);

/// When operations begin, and until when.
pub(super) enum Pace {
    Closed(Instant),
    Open(Due, Instant),
}

/// A session's block. One timer for all of it: a target that goes silent holds up no block, and an operation that goes
/// well pays nothing for that.
pub(super) async fn worked(mut session: Session, pace: Pace, patience: Duration) -> Worked {
    let (mut sample, mut troubles) = (Sample::default(), Troubles::default());
    let (Pace::Closed(until) | Pace::Open(_, until)) = pace;
    let working = async {
        match pace {
            Pace::Closed(deadline) => {
                closed(&mut session, deadline, &mut sample, &mut troubles).await;
            }
            Pace::Open(due, give_up) => {
                open(&mut session, (due, give_up), &mut sample, &mut troubles).await;
            }
        }
    };
    if timeout_at((until + patience).into(), working)
        .await
        .is_err()
    {
        let silent = Err(session.abandon());
        troubles.note(silent, &mut sample);
    }
    (session, sample, troubles.last)
}

async fn closed(
    session: &mut Session,
    deadline: Instant,
    sample: &mut Sample,
    troubles: &mut Troubles,
) {
    let begun = session.stagger_start(sample).await;
    if troubles.note(begun, sample) {
        return;
    }
    loop {
        let done = session.operate(Instant::now(), sample).await;
        if troubles.note(done, sample) || Instant::now() >= deadline {
            return;
        }
    }
}

async fn open(
    session: &mut Session,
    (due, give_up): (Due, Instant),
    sample: &mut Sample,
    troubles: &mut Troubles,
) {
    loop {
        let Some(moment) = due.lock().await.recv().await else {
            return;
        };
        if Instant::now() > give_up {
            sample.unserved += 1;
            // Its wait so far is the least it would have taken.
            sample.latency.push(moment.elapsed().as_nanos() as u64);
            continue;
        }
        let done = session.operate(moment, sample).await;
        if troubles.note(done, sample) {
            return;
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
