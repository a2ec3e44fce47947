//! The targets that an egress reached last: for the operator's status, never for metrics, because apps
//! name them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Targets that are kept; the one reached longest ago goes.
const MOST: usize = 100;

/// The targets reached last.
#[derive(Debug, Default)]
pub struct TargetsSeen(Mutex<VecDeque<TargetSeen>>);

/// What is known of a target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetSeen {
    /// As the operator or the app writes it.
    pub target: String,
    /// The group of its last handshake.
    pub group: &'static str,
    /// The kind of its last handshake.
    pub kind: &'static str,
    /// Handshakes that the server accepted, while it was kept.
    pub handshakes: u64,
}

impl TargetsSeen {
    /// Counts a handshake that the server accepted.
    pub(super) fn note(&self, target: &str, group: &'static str, kind: &'static str) {
        let mut all = self.lock();
        let known = all.iter().position(|seen| seen.target == target);
        let known = known.and_then(|at| all.remove(at));
        if known.is_none() && all.len() >= MOST {
            all.pop_front();
        }
        let before = known.as_ref().map_or(0, |seen| seen.handshakes);
        all.push_back(TargetSeen {
            target: known.map_or_else(|| target.to_owned(), |seen| seen.target),
            group,
            kind,
            handshakes: before + 1,
        });
    }

    /// All of them, the last one first.
    pub fn listed(&self) -> Vec<TargetSeen> {
        self.lock().iter().rev().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<TargetSeen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_counted_and_the_one_reached_longest_ago_goes() {
        let seen = TargetsSeen::default();
        for number in 0..MOST {
            seen.note(&format!("rank-{number}:1"), "a", "full");
        }
        seen.note("rank-0:1", "b", "resumed");
        seen.note("store:1", "a", "full");
        let listed = seen.listed();
        assert_eq!(listed.len(), MOST);
        let of = |at: usize| (listed[at].target.as_str(), listed[at].handshakes);
        assert_eq!((of(0), of(1)), (("store:1", 1), ("rank-0:1", 2)));
        assert_eq!((listed[1].group, listed[1].kind), ("b", "resumed"));
        assert!(listed.iter().all(|seen| seen.target != "rank-1:1"));
    }
}
