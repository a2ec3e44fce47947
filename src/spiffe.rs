//! A client of the SPIFFE Workload API: certificate, key and trust bundles from the agent on this host,
//! by gRPC over a Unix socket (SPIFFE Workload API §5 and §6).
//!
//! The agent streams: a new answer is a rotation. The caller keeps the last good one.

mod call;
mod endpoint;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod messages;
mod protobuf;
mod response;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub use self::endpoint::{EndpointError, socket};
pub use self::error::Error;
pub use self::response::{Response, Svid};

/// Pauses between calls: doubled from the first to the longest, until a call has lived longer than that.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Hears of everything that the agent says.
pub trait Listener: Send + Sync {
    /// An answer; whether it can be used.
    fn answered(&self, response: Response) -> bool;

    /// The call ended, as each does sooner or later; it is made again after a pause. `lived`: after longer
    /// than the longest pause.
    fn ended(&self, error: &Error, lived: bool);
}

/// Calls the agent until the task is aborted.
pub async fn follow(socket: PathBuf, listener: &dyn Listener) {
    let mut pause = FIRST_PAUSE;
    loop {
        let (mut used, began) = (false, Instant::now());
        let error = call::fetch(&socket, |response| used |= listener.answered(response)).await;
        // One that answers and ends at once is not called more often for it.
        let lived = used && began.elapsed() > LONGEST_PAUSE;
        listener.ended(&error, lived);
        if lived {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
