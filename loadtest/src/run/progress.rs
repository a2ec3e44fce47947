//! The progress line on standard error: what runs, how far it is, how long it will still take. The estimate learns: what
//! is left of a case is reckoned with the blocks it has had, later cases with how far the earlier ones were off.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::plan::Case;
use crate::terminal::shown;

const WIDTH: usize = 24;

/// Counts planned time against elapsed time; silent unless asked.
#[derive(Debug)]
pub struct Progress {
    shown: bool,
    live: bool,
    start: Instant,
    planned: Duration,
    done: Duration,
    /// Of the case under way: planned time left, and what was planned and taken so far.
    case: CaseTime,
    last_title: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct CaseTime {
    left: Duration,
    planned: Duration,
    taken: Duration,
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
            case: CaseTime::default(),
            last_title: String::new(),
        }
    }

    pub fn plan(&mut self, whole: Duration) {
        self.planned = whole;
        self.start = Instant::now();
    }

    /// Before the first block of a case that should take this long.
    pub fn case(&mut self, planned: Duration) {
        self.case = CaseTime {
            left: planned,
            ..CaseTime::default()
        };
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
                shown(&text).chars().take(110).collect::<String>()
            ));
        } else if self.shown && title != self.last_title {
            write(&format!("{} remaining: {title}\n", show(self.remaining())));
        }
        self.last_title = title;
    }

    /// After a block of this planned length that took this long.
    pub fn done(&mut self, planned: Duration, taken: Duration) {
        self.done += planned;
        self.case.left = self.case.left.saturating_sub(planned);
        self.case.planned += planned;
        self.case.taken += taken;
    }

    pub fn end(&mut self) {
        if self.live {
            write("\r\x1b[2K");
        }
    }

    /// Planned time left: of this case stretched by what its own blocks took, of later ones by what all took.
    fn remaining(&self) -> Duration {
        let left = self.planned.saturating_sub(self.done);
        let later = left.saturating_sub(self.case.left);
        let stretch = |planned: Duration, taken: Duration| {
            if planned < Duration::from_millis(200) {
                1.0
            } else {
                taken.as_secs_f64() / planned.as_secs_f64()
            }
        };
        let mine = stretch(self.case.planned, self.case.taken);
        let all = stretch(self.done, self.start.elapsed());
        self.case.left.mul_f64(mine) + later.mul_f64(all)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_whose_blocks_take_ten_times_as_long_says_so_after_the_first() {
        let second = Duration::from_secs(1);
        let mut progress = Progress::new(false);
        progress.plan(second * 20);
        progress.case(second * 10);
        assert_eq!(progress.remaining(), second * 20);
        progress.done(second, second * 10);
        // Nine more of ten seconds each; the other case, of which nothing is known, as planned or shorter.
        assert!((90..=100).contains(&progress.remaining().as_secs()));
    }
}
