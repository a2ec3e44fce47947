//! The model against a measurement that it was not made of: the CPU of another server of the same file, such as one with
//! two workers, predicted from the rates that it reached and the costs of the first.

use super::costs::{Costs, Work, comparable};
use crate::results::Results;

/// One case, both ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub title: String,
    /// Cores that the model says.
    pub predicted: f64,
    /// Cores that the server used.
    pub measured: f64,
}

impl Row {
    /// How far the prediction is from what was measured, in per cent of that.
    pub fn error_percent(&self) -> f64 {
        (self.predicted - self.measured) / self.measured * 100.0
    }
}

/// Every case in which the other server's CPU is known.
pub fn rows(results: &Results, costs: &Costs, other: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for work in Work::ALL {
        let Some(cost) = costs.cpu(work) else {
            continue;
        };
        for case in comparable(results, work.scenario()) {
            let (mut amount, mut cpu, mut elapsed) = (0.0, 0.0, 0.0);
            for block in case.blocks_of(other) {
                let Some(seconds) = block.server_cpu_s else {
                    continue;
                };
                cpu += seconds;
                elapsed += block.elapsed_s;
                amount += match work {
                    Work::Token => block.units,
                    _ => block.ops,
                } as f64;
            }
            if cpu > 0.0 && elapsed > 0.0 {
                rows.push(Row {
                    title: case.case.title(),
                    predicted: amount * cost.busy / 1e6 / elapsed,
                    measured: cpu / elapsed,
                });
            }
        }
    }
    rows
}
