//! A server against itself: how many 95 % intervals leave out zero although there is no difference. About one in
//! twenty does by chance; more says that the method, not the server, makes differences.

use super::findings::{Metric, difference};
use super::{CaseResult, Results};

/// Counts over any number of runs.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub rows: Vec<Row>,
    pub runs: u32,
    /// What the runs warn of and what they left out, each once.
    pub notes: Vec<String>,
}

/// One figure of one case.
#[derive(Clone, Debug)]
pub struct Row {
    pub title: String,
    pub metric: Metric,
    pub count: Count,
}

/// Intervals seen, and those among them that leave out zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub intervals: u32,
    pub leave_out_zero: u32,
}

impl Tally {
    /// Adds the cases of a run of two targets that are the same server.
    pub fn add(&mut self, cases: &[CaseResult], a: &str, b: &str) {
        self.runs += 1;
        for case in cases {
            let title = case.case.title();
            for metric in Metric::for_scenario(case.case.scenario) {
                let Some(found) = difference(case, a, b, metric) else {
                    continue;
                };
                // What is the same in every block, as counted bytes are, cannot miss and would flatter the share.
                if found.low == 0.0 && found.high == 0.0 {
                    continue;
                }
                let count = self.row(&title, metric);
                count.intervals += 1;
                count.leave_out_zero += u32::from(found.leaves_out_zero());
            }
        }
    }

    /// What a reader must know of a run.
    pub fn note(&mut self, results: &Results) {
        let left_out = results.skipped.iter().map(|why| format!("left out: {why}"));
        for note in results.warnings.iter().cloned().chain(left_out) {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    fn row(&mut self, title: &str, metric: Metric) -> &mut Count {
        let known = self
            .rows
            .iter()
            .position(|row| row.title == title && row.metric == metric);
        let at = known.unwrap_or_else(|| {
            self.rows.push(Row {
                title: title.to_owned(),
                metric,
                count: Count::default(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[at].count
    }

    /// All figures of all cases.
    pub fn total(&self) -> Count {
        self.rows.iter().fold(Count::default(), |sum, row| Count {
            intervals: sum.intervals + row.count.intervals,
            leave_out_zero: sum.leave_out_zero + row.count.leave_out_zero,
        })
    }

    /// The figures of each case summed, in the order of the plan.
    pub fn by_case(&self) -> Vec<(String, Count)> {
        let mut cases: Vec<(String, Count)> = Vec::new();
        for row in &self.rows {
            match cases.iter_mut().find(|(title, _)| *title == row.title) {
                Some((_, sum)) => {
                    sum.intervals += row.count.intervals;
                    sum.leave_out_zero += row.count.leave_out_zero;
                }
                None => cases.push((row.title.clone(), row.count)),
            }
        }
        cases
    }
}

impl Count {
    /// In per cent; none where there is no interval, of which no share says anything.
    pub fn percent(self) -> Option<f64> {
        (self.intervals > 0)
            .then(|| f64::from(self.leave_out_zero) * 100.0 / f64::from(self.intervals))
    }
}
