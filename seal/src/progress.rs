//! How far a long command is, on a terminal only: share, rate, time left.

use std::io::{self, IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::shown::size;

const INTERVAL: Duration = Duration::from_millis(200);

/// A line on standard error that is written over and over.
pub struct Progress {
    what: &'static str,
    total: Option<u64>,
    state: Option<Mutex<State>>,
    begin: Instant,
}

struct State {
    done: u64,
    shown: Instant,
    printed: bool,
}

impl Progress {
    /// Of so many bytes; `None`: nobody knows.
    pub fn new(what: &'static str, total: Option<u64>) -> Self {
        let begin = Instant::now();
        let state = io::stderr().is_terminal().then(|| {
            Mutex::new(State {
                done: 0,
                shown: begin,
                printed: false,
            })
        });
        Self {
            what,
            total,
            state,
            begin,
        }
    }

    /// So many bytes more.
    pub fn add(&self, bytes: usize) {
        let Some(Ok(mut state)) = self.state.as_ref().map(Mutex::lock) else {
            return;
        };
        state.done += bytes as u64;
        if state.shown.elapsed() >= INTERVAL {
            state.shown = Instant::now();
            state.printed = true;
            let line = line(self.what, state.done, self.total, self.begin.elapsed());
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(Ok(state)) = self.state.as_ref().map(Mutex::lock)
            && state.printed
        {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(what: &str, done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let speed = size(rate as u64);
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{what} {}, {speed}/s", size(done));
    };
    let left = total.saturating_sub(done) as f64 / rate.max(1.0);
    format!(
        "{what} {:3.0} %, {} of {}, {speed}/s, {:.0} s left",
        done as f64 * 100.0 / total as f64,
        size(done),
        size(total),
        left.min(1e6)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_share_rate_and_time_left() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line("opening", 1 << 30, Some(4 << 30), second),
            "opening  25 %, 1.0 GiB of 4.0 GiB, 1.0 GiB/s, 3 s left"
        );
        assert_eq!(
            line("sealing", 2048, None, second),
            "sealing 2.0 KiB, 2.0 KiB/s"
        );
    }
}
