//! What the paired differences of a run amount to: every figure of every case, assessed together, so that what is called a
//! difference survives the number of figures looked at.

use super::numbers::{number, signed, unit_for};
use crate::plan::Role;
use crate::results::findings::{Metric, difference, level};
use crate::results::{CaseResult, Results};
use crate::stats::{Interval, Verdict, correction};

/// Differences within this share of the baseline count as equivalent.
pub const MARGIN: f64 = 0.05;

/// One metric of one case, baseline against subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub metric: Metric,
    pub names: Pairing,
    pub baseline: Interval,
    pub subject: Interval,
    /// Subject minus baseline, pair by pair.
    pub difference: Interval,
    /// What its interval says by itself.
    pub verdict: Verdict,
    /// It is still a difference when all figures of the report are looked at together.
    pub survives: bool,
}

/// A baseline and the subject compared with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    pub baseline: String,
    pub subject: String,
}

/// Results with every figure assessed.
#[derive(Debug)]
pub struct Assessed<'a> {
    pub results: &'a Results,
    /// By case, in the order of the results.
    figures: Vec<Vec<Figure>>,
}

/// A case with its figures.
#[derive(Clone, Copy, Debug)]
pub struct AssessedCase<'a> {
    pub measured: &'a CaseResult,
    pub figures: &'a [Figure],
}

impl<'a> Assessed<'a> {
    pub fn of(results: &'a Results) -> Self {
        let mut figures: Vec<Vec<Figure>> = results
            .cases
            .iter()
            .map(|case| compare_case(results, case))
            .collect();
        let p: Vec<f64> = figures
            .iter()
            .flatten()
            .map(|figure| figure.difference.p)
            .collect();
        let survivors = correction::survivors(&p);
        for (figure, survives) in figures.iter_mut().flatten().zip(survivors) {
            figure.survives = survives && figure.difference.leaves_out_zero();
        }
        Self { results, figures }
    }

    pub fn cases(&self) -> impl Iterator<Item = AssessedCase<'_>> {
        self.results
            .cases
            .iter()
            .zip(&self.figures)
            .map(|(measured, figures)| AssessedCase { measured, figures })
    }

    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        self.figures.iter().flatten()
    }
}

impl<'a> AssessedCase<'a> {
    pub fn find(self, pairing: &Pairing, metric: Metric) -> Option<&'a Figure> {
        self.figures
            .iter()
            .find(|figure| figure.metric == metric && figure.names == *pairing)
    }

    /// The figure of the only pair, or of the first.
    pub fn first(self, metric: Metric) -> Option<&'a Figure> {
        self.figures.iter().find(|figure| figure.metric == metric)
    }
}

/// Baseline and subject with blocks in this case, every combination.
pub fn pairings(results: &Results, case: &CaseResult) -> Vec<Pairing> {
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
            subjects.iter().map(move |subject| Pairing {
                baseline: baseline.clone(),
                subject: subject.clone(),
            })
        })
        .collect()
}

fn compare_case(results: &Results, case: &CaseResult) -> Vec<Figure> {
    pairings(results, case)
        .iter()
        .flat_map(|pairing| {
            Metric::for_scenario(case.case.scenario)
                .into_iter()
                .filter_map(|metric| summarise(case, pairing, metric))
        })
        .collect()
}

/// Compares one metric by itself; none where it was not observed on both sides.
pub fn summarise(case: &CaseResult, names: &Pairing, metric: Metric) -> Option<Figure> {
    let difference = difference(case, &names.baseline, &names.subject, metric)?;
    let baseline = level(case, &names.baseline, metric)?;
    Some(Figure {
        metric,
        names: names.clone(),
        verdict: difference.verdict(baseline.mean.abs() * MARGIN),
        baseline,
        subject: level(case, &names.subject, metric)?,
        difference,
        survives: false,
    })
}

impl Figure {
    /// The difference in per cent of the baseline; none of a baseline of zero, over which no share says anything.
    pub fn percent(&self) -> Option<f64> {
        share(self.difference.mean, self.baseline.mean)
    }

    /// `+18 %`, or the difference itself over a baseline of zero.
    pub fn change_cell(&self) -> String {
        match self.percent() {
            Some(percent) => format!("{} %", signed(percent)),
            None => self.over_zero(&signed, self.difference.mean),
        }
    }

    /// `±0.5 %`: the interval's far end in per cent of the baseline, or itself over a baseline of zero.
    pub fn bound_cell(&self) -> String {
        match share(self.difference.bound(), self.baseline.mean) {
            // Rounded up to what is shown: a bound must not read as zero.
            Some(percent) => format!("±{} %", number(percent.abs().max(0.001))),
            None => format!("±{}", self.over_zero(&number, self.difference.bound())),
        }
    }

    fn over_zero(&self, show: &dyn Fn(f64) -> String, value: f64) -> String {
        let (factor, unit) = unit_for(self.metric.unit(), value.abs());
        format!("{} {unit} over a baseline of 0", show(value * factor))
    }

    /// What is said of it where only what survives the correction counts, and what can be told from zero in print.
    pub fn called(&self) -> Verdict {
        match self.verdict {
            Verdict::More | Verdict::Less if !self.survives => Verdict::Open,
            Verdict::More | Verdict::Less
                if self.percent().is_some_and(|percent| percent.abs() < 0.0005) =>
            {
                Verdict::Equivalent
            }
            verdict => verdict,
        }
    }

    /// True where the report calls it a difference.
    pub fn is_called(&self) -> bool {
        matches!(self.called(), Verdict::More | Verdict::Less)
    }

    /// Factor and name of the unit that suits both levels.
    pub fn unit(&self) -> (f64, &'static str) {
        let largest = self.baseline.mean.abs().max(self.subject.mean.abs());
        unit_for(self.metric.unit(), largest)
    }

    /// A value of this metric: `480 µs`.
    pub fn level_cell(&self, value: f64) -> String {
        let (factor, unit) = self.unit();
        format!("{} {unit}", number(value * factor))
    }

    /// `+12 µs [+9, +15]`
    pub fn difference_cell(&self) -> String {
        let d = self.difference;
        let (factor, unit) = unit_for(self.metric.unit(), d.bound());
        let [mean, low, high] = [d.mean, d.low, d.high].map(|value| signed(value * factor));
        format!("{mean} {unit} [{low}, {high}]")
    }

    /// What the pairs say, in a few words, where only what survives counts.
    pub fn called_cell(&self) -> String {
        match self.called() {
            Verdict::More | Verdict::Less => self.change_cell(),
            Verdict::Equivalent => format!("equivalent, within {}", self.bound_cell()),
            Verdict::Unsteady => "not called: the halves of the run disagree".to_owned(),
            Verdict::Open => format!("no difference seen, within {}", self.bound_cell()),
        }
    }

    /// The same for the detailed tables, which also tell what its own interval says.
    pub fn own_cell(&self) -> String {
        match self.verdict {
            Verdict::More | Verdict::Less if !self.survives => {
                format!("{} by itself, not after correction", self.change_cell())
            }
            _ => self.called_cell(),
        }
    }
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole != 0.0).then(|| part / whole * 100.0)
}
