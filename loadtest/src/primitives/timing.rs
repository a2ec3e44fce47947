//! Timing one operation again and again: each call by itself, so that the tail shows.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// At least this many calls, however long they take, unless ten times the time is up.
const FEWEST: usize = 15;

/// One operation's cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    pub median_us: f64,
    pub p99_us: f64,
    /// Calls per second on one core, from the mean.
    pub per_second: f64,
    pub calls: usize,
}

/// Calls `operate` for about `time`; a tenth of that first to warm up.
pub(super) fn time<R>(time: Duration, mut operate: impl FnMut() -> R) -> Figure {
    time_prepared(time, || (), |()| operate())
}

/// As [`time`], with what `prepare` makes before each call, untimed.
pub(super) fn time_prepared<T, R>(
    time: Duration,
    mut prepare: impl FnMut() -> T,
    mut operate: impl FnMut(T) -> R,
) -> Figure {
    let mut run = |time: Duration, fewest: usize| {
        let begun = Instant::now();
        let mut calls = Vec::new();
        while begun.elapsed() < time || (calls.len() < fewest && begun.elapsed() < time * 10) {
            let input = prepare();
            let start = Instant::now();
            let output = std::hint::black_box(operate(std::hint::black_box(input)));
            calls.push(start.elapsed().as_secs_f64() * 1e6);
            drop(output);
        }
        calls
    };
    run(time / 10, 1);
    let mut calls = run(time, FEWEST);
    let mean = calls.iter().sum::<f64>() / calls.len() as f64;
    calls.sort_by(f64::total_cmp);
    let at = |q: f64| calls[((calls.len() as f64 * q) as usize).min(calls.len() - 1)];
    Figure {
        median_us: at(0.5),
        p99_us: at(0.99),
        per_second: 1e6 / mean,
        calls: calls.len(),
    }
}
