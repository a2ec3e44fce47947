//! Standard error for the log: a line that cannot be written is lost, and nothing else.
//!
//! The reader of a pipe may have gone and a disk may be full: an error here would make the log's library print to
//! the same place, which panics, and a panic's own line would meet the same end. The reader may also stand still
//! (a terminal after Ctrl-S, a collector that hangs, a container runtime whose disk is full), and a write then
//! blocks: a thread of its own waits for it, and no thread that serves connections or signals does.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use crate::metrics::log_line_lost;

/// Bytes that wait for the reader: some thousand lines, more than the pipe behind them holds.
const MOST: usize = 1 << 20;

/// How long the end of the process waits for a reader that takes nothing.
const LAST: Duration = Duration::from_secs(1);

/// Where lines of the log go. `None` until the thread runs, or where none can be started: they are written at once.
static LINES: OnceLock<Option<Arc<Buffer>>> = OnceLock::new();

/// A writer whose every write succeeds and none waits.
pub(super) struct Lossy;

impl Write for Lossy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match LINES.get().and_then(Option::as_ref) {
            Some(buffer) => buffer.add(line),
            None => {
                let _ = io::stderr().write_all(line);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the thread that writes.
pub(super) fn start() {
    LINES.get_or_init(|| {
        let buffer = Arc::new(Buffer::default());
        let writer = Arc::clone(&buffer);
        let thread = thread::Builder::new().name("log".into());
        let started = thread.spawn(move || writer.write_on(&mut io::stderr()));
        started.is_ok().then_some(buffer)
    });
}

/// Writes what is left, and `line` behind it, before the process ends: a second for a reader that takes nothing.
/// `line` is written at once where there is no log.
pub fn write_last(line: &str) {
    let mut log = Lossy;
    let _ = log.write(line.as_bytes());
    if let Some(buffer) = LINES.get().and_then(Option::as_ref) {
        buffer.wait_until_written(LAST);
    }
}

#[derive(Default)]
struct Buffer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    /// The thread has lines in hand.
    writing: bool,
    /// Since the last time that this was said.
    lost: u64,
}

impl Buffer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len() + line.len() > MOST {
            state.lost += 1;
            drop(state);
            log_line_lost();
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        self.changed.notify_all();
    }

    fn write_on(&self, reader: &mut impl Write) -> ! {
        loop {
            let mut state = self.state();
            while state.lines.is_empty() {
                state = self.wait(state);
            }
            let lines = mem::take(&mut state.lines);
            state.writing = true;
            drop(state);
            let _ = reader.write_all(&lines);
            let mut state = self.state();
            state.writing = false;
            let lost = mem::take(&mut state.lost);
            drop(state);
            self.changed.notify_all();
            if lost > 0 {
                tracing::warn!(
                    lost,
                    "lines of the log were lost: the reader of standard error took nothing for a while"
                );
            }
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until_written(&self, most: Duration) {
        let waiting = |state: &mut State| state.writing || !state.lines.is_empty();
        let _ = self.changed.wait_timeout_while(self.state(), most, waiting);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;

    /// A reader that takes what it is given when it is told to.
    struct Slow {
        turns: mpsc::Receiver<()>,
        read: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Slow {
        fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
            let _ = self.turns.recv();
            let _ = self.read.send(lines.to_vec());
            Ok(lines.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stands_still_holds_nobody_up_and_gets_what_fits() {
        let buffer = Arc::new(Buffer::default());
        let ((turn, turns), (send, read)) = (mpsc::channel(), mpsc::channel());
        let writer = Arc::clone(&buffer);
        thread::spawn(move || writer.write_on(&mut Slow { turns, read: send }));
        buffer.add(b"first\n");
        while !buffer.state().writing {
            thread::yield_now();
        }
        let line = [b'x'; 1 << 10];
        for _ in 0..(MOST / line.len()) {
            buffer.add(&line);
        }
        assert_eq!(buffer.state().lost, 0);
        buffer.add(b"one too many\n");
        assert_eq!(buffer.state().lost, 1);
        buffer.wait_until_written(Duration::from_millis(1));
        assert!(buffer.state().writing);

        turn.send(()).unwrap();
        assert_eq!(read.recv().unwrap(), b"first\n");
        turn.send(()).unwrap();
        assert_eq!(read.recv().unwrap().len(), MOST);
        buffer.wait_until_written(Duration::from_mins(1));
        assert_eq!(buffer.state().lost, 0);
        assert!(buffer.state().lines.is_empty());
    }
}
