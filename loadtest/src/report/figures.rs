//! Numbers as people read them, and what a paired difference amounts to in words.

use crate::plan::Role;
use crate::results::findings::{Metric, difference, level};
use crate::results::{CaseResult, Results};
use crate::stats::{Interval, Verdict};

/// Differences within this share of the baseline count as equivalent.
pub const MARGIN: f64 = 0.05;

/// One metric of one case, baseline against subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub metric: Metric,
    pub baseline: Interval,
    pub subject: Interval,
    /// Subject minus baseline, pair by pair.
    pub difference: Interval,
    pub verdict: Verdict,
}

/// Baseline and subject names with blocks in this case, every combination.
pub fn pairings(results: &Results, case: &CaseResult) -> Vec<(String, String)> {
    let of = |role: Role| -> Vec<String> {
        let mine = case.targets();
        let targets = results
            .targets
            .iter()
            .filter(|target| target.role == role && mine.contains(&target.name));
        targets.map(|target| target.name.clone()).collect()
    };
    let subjects = of(Role::Subject);
    of(Role::Baseline)
        .into_iter()
        .flat_map(|baseline| {
            subjects
                .iter()
                .map(move |subject| (baseline.clone(), subject.clone()))
        })
        .collect()
}

/// Compares one metric; none where it was not observed on both sides.
pub fn summarise(
    case: &CaseResult,
    baseline: &str,
    subject: &str,
    metric: Metric,
) -> Option<Figure> {
    let difference = difference(case, baseline, subject, metric)?;
    let base = level(case, baseline, metric)?;
    let verdict = difference.verdict(base.mean.abs() * MARGIN);
    Some(Figure {
        metric,
        baseline: base,
        subject: level(case, subject, metric)?,
        difference,
        verdict,
    })
}

impl Figure {
    /// The difference in per cent of the baseline.
    pub fn percent(&self) -> f64 {
        share(self.difference.mean, self.baseline.mean)
    }

    /// "within ±x %": the interval's far end in per cent of the baseline.
    pub fn bound_percent(&self) -> f64 {
        // Rounded up to what is shown: a bound must not read as zero.
        share(self.difference.bound(), self.baseline.mean).max(0.001)
    }

    /// `+12 us [+9, +15]`
    pub fn difference_cell(&self) -> String {
        let unit = self.metric.unit();
        let Interval {
            mean, low, high, ..
        } = self.difference;
        format!(
            "{} {unit} [{}, {}]",
            signed(mean),
            signed(low),
            signed(high)
        )
    }

    /// What the pairs say, in a few words.
    pub fn verdict_cell(&self) -> String {
        match self.verdict {
            Verdict::More | Verdict::Less => format!("{} %", signed(self.percent())),
            Verdict::Equivalent => {
                format!("equivalent, within ±{} %", number(self.bound_percent()))
            }
            Verdict::Unsteady => "none called: the halves of the run disagree".to_owned(),
            Verdict::Open => format!(
                "no difference seen, within ±{} %",
                number(self.bound_percent())
            ),
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 {
        0.0
    } else {
        part / whole * 100.0
    }
}

/// Three significant digits, thousands grouped: `0.123`, `4.56`, `78.9`, `1,234`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        _ if size >= 99.95 || size == 0.0 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ => 3,
    };
    group(&format!("{value:.digits$}"))
}

/// The same with its sign.
pub fn signed(value: f64) -> String {
    let text = number(value);
    if text
        .trim_start_matches('-')
        .chars()
        .all(|c| matches!(c, '0' | '.'))
    {
        return "0".into();
    }
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

fn group(text: &str) -> String {
    let (whole, rest) = text
        .split_once('.')
        .map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(rest) = rest {
        grouped = format!("{grouped}.{rest}");
    }
    grouped
}

/// Microseconds in the unit that suits them.
pub fn time(us: f64) -> String {
    match us.abs() {
        size if size >= 1e6 => format!("{} s", number(us / 1e6)),
        size if size >= 1e4 => format!("{} ms", number(us / 1e3)),
        _ => format!("{} us", number(us)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_their_thousands() {
        let shown: Vec<_> = [0.1234, 4.561, 78.94, 1234.5, 1_234_567.0, -56.78, 0.0]
            .map(number)
            .to_vec();
        assert_eq!(
            shown,
            ["0.123", "4.56", "78.9", "1,234", "1,234,567", "-56.8", "0"]
        );
        assert_eq!(signed(0.000_01), "0");
        assert_eq!(signed(3.0), "+3.00");
    }
}
