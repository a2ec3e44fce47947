//! Says that a start waits for what it reads: a file system or a token that does not answer looks like a program
//! that does nothing.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use super::service_manager;

/// Longer than certificates and keys take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a service manager is asked for more time. Five minutes: a token of a network may start after us; what
/// takes longer is to fail.
const ASKED: u32 = 10;

/// Does what may wait for files and tokens. Says so once if it takes long, and asks for more time.
pub fn said_if_slow<T>(say: impl FnOnce() + Send + 'static, work: impl FnOnce() -> T) -> T {
    let every = service_manager::REPEATED;
    said_after((PATIENCE, every), say, service_manager::extend, work)
}

fn said_after<T>(
    (patience, every): (Duration, Duration),
    say: impl FnOnce() + Send + 'static,
    ask: impl Fn() + Send + 'static,
    work: impl FnOnce() -> T,
) -> T {
    let (working, done) = channel::<()>();
    // Without the thread nothing is said, and the work is done all the same.
    let _ = thread::Builder::new().name("slow".into()).spawn(move || {
        if done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            say();
            for _ in 0..ASKED {
                ask();
                if done.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    break;
                }
            }
        }
    });
    let result = work();
    drop(working);
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_takes_long_is_said_and_only_once() {
        const LONG: Duration = Duration::from_hours(1);
        let (said, heard) = channel();
        let quick = said.clone();
        let say = move || quick.send("quick").unwrap();
        assert_eq!(said_after((LONG, LONG), say, || {}, || 1), 1);
        let say = move || said.send("slow").unwrap();
        // It ends only when it was said.
        let soon = Duration::from_millis(1);
        let words = said_after((soon, LONG), say, || {}, || heard.recv().unwrap());
        assert_eq!(words, "slow");
        assert!(heard.recv().is_err(), "both threads have ended");
    }

    #[test]
    fn more_time_is_asked_for_while_it_takes_long_and_not_for_ever() {
        let (asked, heard) = channel();
        let soon = Duration::from_millis(1);
        let ask = move || asked.send(()).unwrap();
        // The thread has ended when the last was heard.
        let times = said_after((soon, soon), || {}, ask, || heard.iter().count());
        assert_eq!(times, ASKED as usize);
    }
}
