//! Paired differences with bootstrap confidence intervals (Efron and Tibshirani 1993; the quantiles are widened for
//! few pairs after Hesterberg 2015, "expanded percentile"; below six pairs, where resamples repeat each other,
//! Student's t stands in), and the statement they allow. Pure functions.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// From so many values on the bootstrap has enough different resamples.
const FEWEST: usize = 6;
const RESAMPLES: usize = 4000;
/// The bootstrap's own seed is fixed: the same blocks always give the same interval.
const SEED: u64 = 0x6879_6272_6964_6765;

/// A mean with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
    /// Pairs or blocks it rests on.
    pub n: usize,
}

/// What an interval of paired differences says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval lies wholly above zero.
    More,
    /// The interval lies wholly below zero.
    Less,
    /// It holds zero and lies within the margin: equivalent, to within the stated per cent.
    Equivalent,
    /// It holds zero and reaches past the margin: these pairs do not tell.
    Open,
}

/// The 95 % interval of the mean of independent values; none below two values.
pub fn interval(values: &[f64]) -> Option<Interval> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    if n < FEWEST {
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / (n as f64 - 1.0);
        let half = student(n - 1) * (variance / n as f64).sqrt();
        return Some(Interval {
            mean,
            low: mean - half,
            high: mean + half,
            n,
        });
    }
    let mut rng = Rng::new(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..n).map(|_| values[rng.below(n)]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let tail = expanded_tail(n);
    let at = |p: f64| means[((p * RESAMPLES as f64) as usize).min(RESAMPLES - 1)];
    Some(Interval {
        mean,
        low: at(tail).min(mean),
        high: at(1.0 - tail).max(mean),
        n,
    })
}

/// The interval of `b - a`, pair by pair.
pub fn paired(a: &[f64], b: &[f64]) -> Option<Interval> {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
    interval(&differences)
}

/// The interval of the ratio `b / a`, pair by pair, through the mean of the logarithms.
pub fn paired_ratio(a: &[f64], b: &[f64]) -> Option<Interval> {
    let logs: Vec<f64> = a
        .iter()
        .zip(b)
        .filter(|(a, b)| **a > 0.0 && **b > 0.0)
        .map(|(a, b)| (b / a).ln())
        .collect();
    let logs = interval(&logs)?;
    Some(Interval {
        mean: logs.mean.exp(),
        low: logs.low.exp(),
        high: logs.high.exp(),
        n: logs.n,
    })
}

impl Interval {
    /// Zero inside and both ends within `margin` (same unit): equivalent; outside zero: a difference.
    pub fn verdict(&self, margin: f64) -> Verdict {
        if self.low > 0.0 {
            Verdict::More
        } else if self.high < 0.0 {
            Verdict::Less
        } else if self.low >= -margin && self.high <= margin {
            Verdict::Equivalent
        } else {
            Verdict::Open
        }
    }

    /// The end farther from zero: "within plus or minus" this.
    pub fn bound(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// True where two intervals share no value.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        self.low > other.high || other.low > self.high
    }
}

/// The middle value; 0 for none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// The tail probability whose bootstrap quantiles are as wide as Student's t for `n` values.
fn expanded_tail(n: usize) -> f64 {
    let spread = (n as f64 / (n as f64 - 1.0)).sqrt();
    normal_below(-spread * student(n - 1))
}

/// The 97.5 % quantile of Student's t (tabled; beyond 30 degrees of freedom by Cornish-Fisher).
fn student(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    let z: f64 = 1.959_964;
    let expansion = || z + (z.powi(3) + z) / (4.0 * degrees as f64);
    degrees
        .checked_sub(1)
        .and_then(|row| TABLE.get(row))
        .copied()
        .unwrap_or_else(expansion)
}

/// The standard normal distribution function (Abramowitz and Stegun 26.2.17, error below 7.5e-8).
fn normal_below(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let coefficients = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let polynomial = coefficients
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| (sum + coefficient) * t);
    let upper = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * polynomial;
    if x < 0.0 { upper } else { 1.0 - upper }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Normal deviates by Box and Muller.
    fn normal(rng: &mut Rng) -> f64 {
        (-2.0 * (1.0 - rng.unit()).ln()).sqrt() * (2.0 * std::f64::consts::PI * rng.unit()).cos()
    }

    /// Share of 600 experiments of `n` pairs whose interval holds the true mean of 1.
    fn coverage(n: usize, draw: impl Fn(&mut Rng) -> f64) -> f64 {
        let mut rng = Rng::new(7);
        let hits = (0..600)
            .filter(|_| {
                let found = interval(&(0..n).map(|_| draw(&mut rng)).collect::<Vec<_>>()).unwrap();
                found.low <= 1.0 && 1.0 <= found.high
            })
            .count();
        hits as f64 / 600.0
    }

    #[test]
    fn the_interval_holds_the_true_mean_of_a_normal_distribution_about_95_times_in_100() {
        for n in [3, 6, 10, 20] {
            let share = coverage(n, |rng| 1.0 + 0.5 * normal(rng));
            assert!((0.92..=0.98).contains(&share), "n = {n}: {share}");
        }
    }

    #[test]
    fn the_interval_stays_honest_on_a_skewed_distribution() {
        let share = coverage(12, |rng| -(1.0 - rng.unit()).ln());
        assert!((0.87..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn the_width_of_a_known_sample_agrees_with_students_t() {
        let values: Vec<f64> = (0..30).map(|i| f64::from(i % 10)).collect();
        let found = interval(&values).unwrap();
        let deviation = (values.iter().map(|v| (v - 4.5).powi(2)).sum::<f64>() / 29.0).sqrt();
        let half = 2.045 * deviation / 30_f64.sqrt();
        assert!((found.mean - 4.5).abs() < 1e-12);
        assert!(
            ((found.high - found.low) / 2.0 - half).abs() < 0.08 * half,
            "{found:?} against {half}"
        );
    }

    #[test]
    fn pairing_removes_what_both_sides_share() {
        let mut rng = Rng::new(3);
        let drift: Vec<f64> = (0..12).map(|_| 100.0 * rng.unit()).collect();
        let b: Vec<f64> = drift
            .iter()
            .map(|d| d + 5.0 + 0.1 * normal(&mut rng))
            .collect();
        let found = paired(&drift, &b).unwrap();
        assert!(found.low > 4.8 && found.high < 5.2, "{found:?}");
        assert_eq!(found.verdict(1.0), Verdict::More);
    }

    #[test]
    fn verdicts_follow_the_interval() {
        let of = |low, high| Interval {
            mean: f64::midpoint(low, high),
            low,
            high,
            n: 9,
        };
        assert_eq!(of(-2.0, -1.0).verdict(5.0), Verdict::Less);
        assert_eq!(of(-1.0, 2.0).verdict(5.0), Verdict::Equivalent);
        assert_eq!(of(-1.0, 7.0).verdict(5.0), Verdict::Open);
        assert!((of(-1.0, 7.0).bound() - 7.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_ratio_of_constant_pairs_is_exact() {
        let found = paired_ratio(&[2.0, 4.0, 8.0], &[3.0, 6.0, 12.0]).unwrap();
        assert!((found.mean - 1.5).abs() < 1e-9 && (found.high - found.low).abs() < 1e-9);
    }
}
