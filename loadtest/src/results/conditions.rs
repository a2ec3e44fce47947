//! The machine during one round: what else it did, what the hypervisor took, and what the generator could have done.

use serde::{Deserialize, Serialize};

/// Shares are in per cent of all cores' time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    pub pair: u32,
    /// Load average of the last minute.
    pub load: f64,
    /// Time in which some task waited for a core (/proc/pressure/cpu), this run's own included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressure: Option<f64>,
    /// Taken by the hypervisor for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steal: Option<f64>,
    /// Used by processes that are not part of the run; none where a server's process is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<f64>,
    /// Of the fastest core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mhz: Option<f64>,
    /// Times a core was slowed down for its heat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<u64>,
    /// Requests per second of the generator to a stub of its own, just before the round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
    /// In a merged run, the highest ceiling of the case that the same generator had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<f64>,
}

const STEAL: f64 = 5.0;
const OTHERS: f64 = 10.0;
/// Where servers are not observed, the run's own pressure cannot be told from that of others.
const PRESSURE: f64 = 60.0;
/// A ceiling below this share of the best one of the case says that something else used the generator's core.
const CEILING: f64 = 0.7;

impl Conditions {
    /// True where figures of this round are of a machine that was busy with other things; `best` is the highest ceiling
    /// seen, unless the round knows that of its own generator.
    pub fn is_pressed(&self, best: f64) -> bool {
        let best = self.best.unwrap_or(best);
        let above = |value: Option<f64>, limit: f64| value.is_some_and(|value| value >= limit);
        above(self.steal, STEAL)
            || above(self.others, OTHERS)
            || (self.others.is_none() && above(self.pressure, PRESSURE))
            || self.throttled.is_some_and(|events| events > 0)
            || self.ceiling.is_some_and(|ceiling| ceiling < CEILING * best)
    }
}

/// The highest ceiling of these rounds.
pub fn best_ceiling<'a>(rounds: impl Iterator<Item = &'a Conditions>) -> f64 {
    let ceilings = rounds.filter_map(|round| round.ceiling);
    ceilings.fold(0.0, f64::max)
}

/// Rounds under pressure, and all whose conditions are known.
pub fn pressed<'a>(rounds: impl Iterator<Item = &'a Conditions> + Clone) -> (usize, usize) {
    let best = best_ceiling(rounds.clone());
    (
        rounds
            .clone()
            .filter(|round| round.is_pressed(best))
            .count(),
        rounds.count(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_disturbance_marks_a_round() {
        let quiet = Conditions {
            pressure: Some(90.0),
            others: Some(2.0),
            steal: Some(0.5),
            ceiling: Some(50_000.0),
            throttled: Some(0),
            ..Conditions::default()
        };
        assert!(!quiet.is_pressed(52_000.0), "its own pressure is none");
        let with = |change: fn(&mut Conditions)| {
            let mut round = quiet.clone();
            change(&mut round);
            round.is_pressed(52_000.0)
        };
        assert!(with(|round| round.steal = Some(8.0)));
        assert!(with(|round| round.others = Some(40.0)));
        assert!(with(|round| round.others = None));
        assert!(with(|round| round.throttled = Some(2)));
        assert!(with(|round| round.ceiling = Some(20_000.0)));
    }
}
