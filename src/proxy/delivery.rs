//! Everything that came reaches the app before a reset: a reset drops what is still on its way.

use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::drain::{Phase, Watch};
use crate::proxy::error::Outcome;

/// How long an app may take nothing of what is left for it.
const STALLED: Duration = Duration::from_secs(30);
/// Between two looks at what is acknowledged: the kernel tells nobody. The longer, the rarer.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const RAREST_LOOK: Duration = Duration::from_millis(200);

/// Returns when the app's kernel has everything that was written, or will not take it; `undelivered` says
/// how much that it has not. How a connection really ended that would end with `outcome`.
pub(crate) async fn delivered(
    undelivered: impl Fn() -> io::Result<usize>,
    outcome: Outcome,
    drain: &Watch,
) -> Outcome {
    // An app that is gone has lost nothing by us.
    let has_all = || matches!(undelivered(), Ok(0) | Err(_));
    let looking = async {
        let mut left = usize::MAX;
        let (mut taken, mut pause) = (Instant::now(), FIRST_LOOK);
        loop {
            match undelivered() {
                Ok(0) | Err(_) => return,
                Ok(now) if now < left => {
                    left = now;
                    taken = Instant::now();
                    pause = FIRST_LOOK;
                }
                Ok(_) if taken.elapsed() >= STALLED => return,
                Ok(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(RAREST_LOOK);
        }
    };
    tokio::select! {
        () = looking => {}
        () = drain.reached(Phase::Aborting) => {}
    }
    if drain.is_draining() && !has_all() {
        return Outcome::Cut;
    }
    outcome
}
