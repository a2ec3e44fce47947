//! The progress line on standard error: what runs, how far it is, how long it will still take.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::plan::Case;

const WIDTH: usize = 24;

/// Counts planned time against elapsed time; silent unless asked.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    live: bool,
    start: Instant,
    planned: Duration,
    done: Duration,
    last_title: String,
}

impl Progress {
    pub fn new(shown: bool) -> Self {
        let live = shown && std::io::stderr().is_terminal();
        let now = Instant::now();
        Self {
            shown,
            live,
            start: now,
            planned: Duration::ZERO,
            done: Duration::ZERO,
            last_title: String::new(),
        }
    }

    pub fn plan(&mut self, whole: Duration) {
        self.planned = whole;
        self.start = Instant::now();
    }

    /// Before a block.
    pub fn step(&mut self, case: &Case, target: &str) {
        let title = case.title();
        if self.live {
            let text = format!(
                "{} {} remaining  {title} [{target}]",
                self.bar(),
                show(self.remaining())
            );
            write(&format!(
                "\r\x1b[2K{}",
                text.chars().take(110).collect::<String>()
            ));
        } else if self.shown && title != self.last_title {
            write(&format!("{} remaining: {title}\n", show(self.remaining())));
        }
        self.last_title = title;
    }

    /// After a block of this planned length.
    pub fn done(&mut self, planned: Duration) {
        self.done += planned;
    }

    pub fn end(&mut self) {
        if self.live {
            write("\r\x1b[2K");
        }
    }

    /// Planned time left, stretched by how much longer the past took than planned.
    fn remaining(&self) -> Duration {
        let left = self.planned.saturating_sub(self.done);
        if self.done < Duration::from_millis(500) {
            return left;
        }
        left.mul_f64(self.start.elapsed().as_secs_f64() / self.done.as_secs_f64())
    }

    fn bar(&self) -> String {
        let share = self.done.as_secs_f64() / self.planned.as_secs_f64().max(0.001);
        let full = ((share * WIDTH as f64) as usize).min(WIDTH);
        format!(
            "[{}{}] {:3.0} %",
            "#".repeat(full),
            ".".repeat(WIDTH - full),
            (share * 100.0).min(100.0)
        )
    }
}

fn write(text: &str) {
    // A closed terminal must not end the run.
    std::io::stderr().write_all(text.as_bytes()).ok();
}

fn show(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
