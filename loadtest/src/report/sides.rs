//! What the two sides of a pair are called in sentences. Figures know their targets by name; the order in which a plan
//! names them says nothing.

use super::figures::{AssessedCase, Figure, Pairing, pairings};
use crate::plan::Target;
use crate::results::Results;
use crate::results::findings::Metric;
use crate::tls::Group;

/// The pair a sentence is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sides {
    /// The only pair of each case, a hybrid group beside a classical one: the kinds say which is which.
    Kinds,
    /// One of several pairs, or one of other groups.
    Named {
        pairing: Pairing,
        /// With their groups.
        subject: String,
        baseline: String,
    },
}

impl Sides {
    /// Every pair that has to be told of, in the order of the results.
    pub(super) fn all(results: &Results) -> Vec<Self> {
        if are_kinds(results) && !are_several(results) {
            return vec![Self::Kinds];
        }
        let mut found = Vec::new();
        for pairing in pairs(results) {
            let named = Self::Named {
                subject: with_group(results, &pairing.subject),
                baseline: with_group(results, &pairing.baseline),
                pairing,
            };
            if !found.contains(&named) {
                found.push(named);
            }
        }
        found
    }

    /// As a sentence begins.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Kinds => "Hybrid",
            Self::Named { subject, .. } => subject,
        }
    }

    pub(super) fn baseline(&self) -> &str {
        match self {
            Self::Kinds => "classical",
            Self::Named { baseline, .. } => baseline,
        }
    }

    /// `X25519MLKEM768 against X25519`; none where the words of the sentence say it.
    pub(super) fn named(&self) -> Option<String> {
        match self {
            Self::Kinds => None,
            Self::Named { .. } => Some(format!("{} against {}", self.subject(), self.baseline())),
        }
    }

    /// The case's figure of this pair.
    pub(super) fn figure<'a>(&self, case: AssessedCase<'a>, metric: Metric) -> Option<&'a Figure> {
        match self {
            Self::Kinds => case.first(metric),
            Self::Named { pairing, .. } => case.find(pairing, metric),
        }
    }

    /// True where the case has a figure of this pair.
    pub(super) fn are_in(&self, case: AssessedCase<'_>) -> bool {
        case.figures.iter().any(|figure| match self {
            Self::Kinds => true,
            Self::Named { pairing, .. } => figure.names == *pairing,
        })
    }
}

/// `old (X25519)`; the name alone where it is that of the group, or where there is no TLS.
fn with_group(results: &Results, name: &str) -> String {
    let group = results.target(name).and_then(Target::group);
    match group.map(Group::name) {
        Some(group) if group != name => format!("{name} ({group})"),
        _ => name.to_owned(),
    }
}

fn pairs(results: &Results) -> impl Iterator<Item = Pairing> {
    let cases = results.cases.iter();
    cases.flat_map(|case| pairings(results, case))
}

/// True where a case has more than one pair, so that its rows and sentences must say which.
pub(super) fn are_several(results: &Results) -> bool {
    let mut cases = results.cases.iter();
    cases.any(|case| pairings(results, case).len() > 1)
}

/// True where every subject has a hybrid group and every baseline a classical one.
pub(super) fn are_kinds(results: &Results) -> bool {
    let is = |name: &str, kind: fn(Group) -> bool| {
        let group = results.target(name).and_then(Target::group);
        group.is_some_and(kind)
    };
    pairs(results)
        .all(|pair| is(&pair.subject, Group::is_hybrid) && is(&pair.baseline, Group::is_classical))
}
