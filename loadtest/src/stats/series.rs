//! The mean of a series of rounds that may be correlated, and how far it can be trusted: rounds that lie side by side
//! are resampled as one block (circular block bootstrap, Politis and Romano 1992), as long as the correlation found asks
//! for (Politis and White 2004), and what counts for the degrees of freedom is the number of blocks, not of rounds.

use super::student;
use crate::rng::Rng;

/// From so many blocks on the bootstrap has enough different resamples.
const FEWEST: f64 = 6.0;
/// Tests of coverage make thousands of intervals, to which the exact quantile of one is nothing.
const RESAMPLES: usize = if cfg!(test) { 1000 } else { 4000 };
/// The bootstrap's own seed is fixed: the same rounds always give the same interval.
const SEED: u64 = 0x6879_6272_6964_6765;
/// Chance alone gives a short series of independent values a correlation of this many times 1/sqrt(n) now and then.
const NOTABLE: f64 = 0.8;

/// A mean, its 95 % interval and the probability of a mean this far from zero where there is no difference.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    pub(super) mean: f64,
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) p: f64,
    pub(super) error: f64,
    pub(super) freedom: usize,
}

/// Estimates from at least two values in the order in which they were measured.
pub(super) fn estimate(values: &[f64]) -> Estimate {
    let n = values.len();
    let mean = values.iter().sum::<f64>() / n as f64;
    let rho = correlation(values, mean);
    let length = block_length(n as f64, rho);
    // What so many correlated values are worth in independent ones (Bayley and Hammersley 1946).
    let worth = (n as f64 * (1.0 - rho) / (1.0 + rho)).max(4.0_f64.min(n as f64));
    let blocks = worth.min((n as f64 / length as f64).max(4.0_f64.min(n as f64)));
    let of_blocks = standard_error(values, mean, length);
    let of_rounds = standard_error(values, mean, 1) * ((n as f64 - 1.0) / (worth - 1.0)).sqrt();
    let error = of_blocks.max(of_rounds);
    let freedom = (blocks.floor() as usize).saturating_sub(1).max(1);
    let p = match (error > 0.0, mean == 0.0) {
        (true, _) => student::two_sided(mean / error, freedom),
        (false, true) => 1.0,
        (false, false) => 0.0,
    };
    let half = student::quantile(freedom) * error;
    let (mut low, mut high) = (mean - half, mean + half);
    if blocks >= FEWEST {
        let means = resample(values, length);
        let tail = student::expanded_tail(blocks.floor() as usize);
        let at = |p: f64| means[((p * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
        let wider = if of_blocks > 0.0 {
            error / of_blocks
        } else {
            1.0
        };
        (low, high) = (
            mean + (at(tail) - mean).min(0.0) * wider,
            mean + (at(1.0 - tail) - mean).max(0.0) * wider,
        );
    }
    Estimate {
        mean,
        low,
        high,
        p,
        error,
        freedom,
    }
}

/// What each value hands to the next of its deviation; zero where that may as well be chance.
fn correlation(values: &[f64], mean: f64) -> f64 {
    let n = values.len() as f64;
    let deviations: Vec<f64> = values.iter().map(|value| value - mean).collect();
    let spread: f64 = deviations
        .iter()
        .map(|deviation| deviation * deviation)
        .sum();
    if spread <= 0.0 || n < FEWEST {
        return 0.0;
    }
    let neighbours = deviations.iter().zip(deviations.iter().skip(1));
    let found = neighbours.map(|(a, b)| a * b).sum::<f64>() / spread;
    // The estimate of a short series is too low by about (1 + 3 rho) / n (Kendall 1954).
    let rho = ((found + 1.0 / n) / (1.0 - 3.0 / n)).min(0.9);
    if rho < NOTABLE / n.sqrt() { 0.0 } else { rho }
}

/// How many neighbouring rounds are resampled together.
fn block_length(n: f64, rho: f64) -> usize {
    if rho <= 0.0 {
        return 1;
    }
    let ratio = 2.0 * rho / (1.0 - rho * rho);
    let length = (ratio * ratio * n).cbrt().ceil();
    length.clamp(2.0, (n / 3.0).max(2.0)) as usize
}

/// The standard error of the mean, from the spread of all blocks of neighbours.
fn standard_error(values: &[f64], mean: f64, length: usize) -> f64 {
    let n = values.len();
    let blocks = n as f64 / length as f64;
    let of_block = |start: usize| {
        let sum: f64 = (start..start + length).map(|at| values[at % n]).sum();
        (sum / length as f64 - mean).powi(2)
    };
    let variance = (0..n).map(of_block).sum::<f64>() / n as f64;
    (variance / (blocks - 1.0).max(1.0)).sqrt()
}

/// Sorted means of resampled series.
fn resample(values: &[f64], length: usize) -> Vec<f64> {
    let n = values.len();
    let mut rng = Rng::new(SEED);
    let mut mean = || {
        let (mut sum, mut taken) = (0.0, 0);
        while taken < n {
            let start = rng.below(n);
            for at in start..start + length.min(n - taken) {
                sum += values[at % n];
            }
            taken += length.min(n - taken);
        }
        sum / n as f64
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| mean()).collect();
    means.sort_by(f64::total_cmp);
    means
}
