//! Paired differences with bootstrap confidence intervals (Efron and Tibshirani 1993; the quantiles are widened for
//! few pairs after Hesterberg 2015, "expanded percentile"; below six pairs, where resamples repeat each other,
//! Student's t stands in), and the statement they allow. Correlated rounds are in `series`, many figures at once in
//! `correction`. Pure functions.

pub mod correction;
mod series;
mod student;

use serde::{Deserialize, Serialize};

/// A mean with its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
    /// Pairs or blocks it rests on.
    pub n: usize,
    /// The probability of a mean this far from zero where there is no difference (Student's t).
    pub p: f64,
    /// The standard error of the mean (of a ratio: of the mean logarithm), and the degrees of freedom it rests on.
    pub error: f64,
    pub freedom: usize,
    /// Both halves of the run say the same.
    pub steady: bool,
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
    /// It leaves out zero, but the two halves of the run contradict each other: not called a difference.
    Unsteady,
}

/// What sums of equal values may differ by, as a share of them.
const ROUNDING: f64 = 1e-9;

/// The 95 % interval of the mean of values in the order in which they were measured; none below two values.
pub fn interval(values: &[f64]) -> Option<Interval> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let series::Estimate {
        mean,
        low,
        high,
        p,
        error,
        freedom,
    } = series::estimate(values);
    Some(Interval {
        mean,
        low,
        high,
        n,
        p,
        error,
        freedom,
        steady: is_steady(values),
    })
}

/// False where one half of the values contradicts the other: means of different sign, or intervals that share no value
/// and means more than twofold apart. Fewer than four values have no halves to compare.
fn is_steady(values: &[f64]) -> bool {
    let (first, second) = values.split_at(values.len() / 2);
    if first.len() < 2 {
        return true;
    }
    let (a, b) = (series::estimate(first), series::estimate(second));
    let apart = a.low > b.high || b.low > a.high;
    let twofold = a.mean.abs().max(b.mean.abs()) > 2.0 * a.mean.abs().min(b.mean.abs());
    a.mean * b.mean >= 0.0 && !(apart && twofold)
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
        ..logs
    })
}

impl Interval {
    /// Zero inside and both ends within `margin` (same unit): equivalent; outside zero: a difference.
    pub fn verdict(&self, margin: f64) -> Verdict {
        let leaves_out_zero = self.leaves_out_zero();
        if leaves_out_zero && !self.steady {
            Verdict::Unsteady
        } else if leaves_out_zero && self.mean > 0.0 {
            Verdict::More
        } else if leaves_out_zero {
            Verdict::Less
        } else if self.low >= -margin && self.high <= margin {
            Verdict::Equivalent
        } else {
            Verdict::Open
        }
    }

    pub fn leaves_out_zero(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// The end farther from zero: "within plus or minus" this.
    pub fn bound(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    /// True where two intervals share no value.
    pub fn is_apart_from(&self, other: &Self) -> bool {
        let rounding = ROUNDING * self.bound().max(other.bound());
        self.low > other.high + rounding || other.low > self.high + rounding
    }

    /// The same; where every value was the same, with the spread of another one: its own says nothing of what there could be.
    #[must_use]
    pub fn with_spread_of(self, other: &Self) -> Self {
        if self.high - self.low > ROUNDING * self.bound() {
            return self;
        }
        Self {
            low: self.mean + other.low - other.mean,
            high: self.mean + other.high - other.mean,
            error: other.error,
            freedom: other.freedom,
            ..self
        }
    }

    /// The probability of means this far apart where there is no difference: Welch's t test.
    pub fn p_from(&self, other: &Self) -> f64 {
        let of = |interval: &Self| {
            let square = interval.error * interval.error;
            (square, square * square / interval.freedom.max(1) as f64)
        };
        let (a, b) = (of(self), of(other));
        let square = a.0 + b.0;
        let distance = (self.mean - other.mean).abs();
        let rounding = ROUNDING * self.bound().max(other.bound());
        match square.sqrt() {
            _ if distance <= rounding => 1.0,
            error if error <= rounding => 0.0,
            error => {
                let freedom = (square * square / (a.1 + b.1)) as usize;
                let most = self.freedom + other.freedom;
                student::two_sided(distance / error, freedom.min(most))
            }
        }
    }
}

#[cfg(test)]
mod tests;
