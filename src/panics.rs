//! A panic is a fault of this program, and evidence: it is counted and logged as one line, and ends
//! nothing but the work it happened in.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, Location, PanicHookInfo};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::log_limit::{LogLimit, log_admitted};

/// Work ended by a panic. What it said is not kept: it may hold a peer's bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Panicked;

/// The same work, whose panic is an error of it and does not unwind further. No state that the work
/// shares with others is left half changed by it: locks recover from poison or guard single steps.
pub fn caught<F: Future>(work: F) -> impl Future<Output = Result<F::Output, Panicked>> {
    let caught = AssertUnwindSafe(work).catch_unwind();
    // No `async` block: it would hold the work twice, before and while it is awaited.
    caught.map(|ended| ended.map_err(|_| Panicked))
}

/// The same for what is no future.
pub fn caught_call<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// Hears of a panic, to count it.
pub type OnPanic = Arc<dyn Fn() + Send + Sync>;

/// Starts work as a task of its own; `on_panic` hears of its panic.
pub fn spawn<F>(work: F, on_panic: impl FnOnce() + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let noticed = caught(work).map(|ended| {
        if ended.is_err() {
            on_panic();
        }
    });
    tokio::spawn(noticed);
}

/// Makes every panic of the process one line of the log, in whatever format that has.
pub fn log_them() {
    panic::set_hook(Box::new(log));
}

/// Metrics count all of them: a client that has found one must not fill the disk.
static LINES: LogLimit = LogLimit::new(Duration::from_secs(1), 10);

thread_local! {
    /// This thread is writing the line of a panic.
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

fn log(info: &PanicHookInfo<'_>) {
    // A panic of the log itself would come here again, and a panic within the hook ends the process.
    if LOGGING.replace(true) {
        return;
    }
    let thread = std::thread::current();
    log_admitted!(
        error,
        LINES.admit(),
        "panic: a fault of this program, please report it",
        location = info.location().map(Location::to_string),
        panic = static_message(info.payload()),
        thread = thread.name()
    );
    LOGGING.set(false);
}

/// A message that is part of the program. One that was formatted may hold what a peer sent, or a key.
fn static_message(payload: &(dyn Any + Send)) -> &'static str {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .unwrap_or("not shown: it was formatted when it happened")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    #[test]
    fn work_is_held_once() {
        let held = [0_u8; 4096];
        let work = async move {
            std::future::ready(()).await;
            assert_eq!(held.len(), 4096);
        };
        assert!(size_of_val(&caught(work)) < 4096 + 64);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_the_work_that_it_ended() {
        assert_eq!(caught(async { 7 }).await, Ok(7));
        let panicking = async {
            tokio::task::yield_now().await;
            panic!("in the middle");
        };
        assert_eq!(caught::<_>(panicking).await.map(|()| 0), Err(Panicked));
        assert_eq!(caught_call(|| 7), Ok(7));
        assert_eq!(caught_call(|| panic!("at once")).map(|()| 0), Err(Panicked));
    }

    #[test]
    fn a_message_that_may_hold_a_secret_is_not_shown() {
        let secret = String::from("MIGHAgEAMBMGByqGSM49");
        assert!(!static_message(&secret).contains("MIGH"));
        assert_eq!(static_message(&"out of range"), "out of range");
    }
}
