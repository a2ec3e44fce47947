//! Says that a start waits for what it reads: a file system or a token that does not answer looks like a program
//! that does nothing.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Longer than certificates and keys take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Does what may wait for files and tokens. Says so once if it takes long.
pub fn said_if_slow<T>(say: impl FnOnce() + Send + 'static, work: impl FnOnce() -> T) -> T {
    said_after(PATIENCE, say, work)
}

fn said_after<T>(
    patience: Duration,
    say: impl FnOnce() + Send + 'static,
    work: impl FnOnce() -> T,
) -> T {
    let (working, done) = channel::<()>();
    // Without the thread nothing is said, and the work is done all the same.
    let _ = thread::Builder::new().name("slow".into()).spawn(move || {
        if done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            say();
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
        let (said, heard) = channel();
        let quick = said.clone();
        let say = move || quick.send("quick").unwrap();
        assert_eq!(said_after(Duration::from_hours(1), say, || 1), 1);
        let say = move || said.send("slow").unwrap();
        // It ends only when it was said.
        let words = said_after(Duration::from_millis(1), say, || heard.recv().unwrap());
        assert_eq!(words, "slow");
        assert!(heard.recv().is_err(), "both threads have ended");
    }
}
