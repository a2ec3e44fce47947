//! What "supports hybrid" may mean, and whose order decides.

use serde::{Deserialize, Serialize};

use crate::answer::Answer;
use crate::groups::{self, Kind};
use crate::hello::SHARED;

/// Whose order of groups decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The server's own.
    Server,
    /// The client's list.
    Client,
    /// Not to be told: fewer than two groups.
    Unknown,
}

/// Four different things that "supports hybrid" may mean. Read as named fields, not as a map: a name that occurs twice is
/// refused.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Hybrid {
    /// A hybrid group is accepted.
    pub present: bool,
    /// It is chosen although the client lists classical groups first.
    pub preferred: bool,
    /// It is asked for although the client has sent a classical key share that would do.
    pub held: bool,
    /// No classical group of those that are asked for is accepted, TLS 1.2 and older included, and every
    /// question was answered.
    pub enforced: bool,
    /// Whether the question behind `held` was asked.
    #[serde(skip)]
    pub held_is_known: bool,
}

impl Hybrid {
    /// Each with its name.
    pub fn meanings(self) -> [(&'static str, bool); 4] {
        [
            ("present", self.present),
            ("preferred", self.preferred),
            ("held", self.held),
            ("enforced", self.enforced),
        ]
    }
}

/// How much was said in so many words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Certainty {
    /// The groups that are left were refused.
    pub(super) complete: bool,
    /// Each older version was accepted or refused.
    pub(super) answered: bool,
}

pub(super) fn classify(
    accepted: &[u16],
    versions: &[&str],
    sure: Certainty,
    ask: impl Fn(&[u16], Option<u16>) -> Answer,
) -> (Order, Hybrid) {
    let of = |is: fn(u16) -> bool| -> Vec<u16> {
        accepted
            .iter()
            .copied()
            .filter(|group| is(*group))
            .collect()
    };
    let hybrid = of(groups::is_hybrid);
    let classical = of(|group| groups::kind(group) == Kind::Classical);
    let order = match accepted {
        [first, .., last] => {
            let reversed: Vec<u16> = accepted.iter().rev().copied().collect();
            match ask(&reversed, None).group() {
                Some(group) if group == *first => Order::Server,
                Some(group) if group == *last => Order::Client,
                _ => Order::Unknown,
            }
        }
        _ => Order::Unknown,
    };
    let mut found = Hybrid {
        present: !hybrid.is_empty(),
        enforced: sure.complete
            && sure.answered
            && versions == ["1.3"]
            && accepted.iter().all(|group| groups::is_protected(*group)),
        ..Hybrid::default()
    };
    if !found.present {
        return (order, found);
    }
    let classical_first: Vec<u16> = classical.iter().chain(&hybrid).copied().collect();
    let is_hybrid = |answer: Answer| answer.group().is_some_and(|group| hybrid.contains(&group));
    found.preferred = is_hybrid(ask(&classical_first, None));
    let share = SHARED.into_iter().find(|share| classical.contains(share));
    found.held_is_known = share.is_some() || classical.is_empty();
    found.held = match share {
        Some(share) => is_hybrid(ask(&classical_first, Some(share))),
        // There is nothing classical to prefer, or none of which a share can be made.
        None => classical.is_empty() && sure.complete,
    };
    (order, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::enumerate;
    use crate::survey::tests::{ALL, server};

    const SURE: Certainty = Certainty {
        complete: true,
        answered: true,
    };

    #[test]
    fn present_preferred_held_and_enforced_are_four_things() {
        let classified = |groups: &'static [u16], by_client, versions: &[&str]| {
            let ask = server(groups, by_client);
            let (accepted, _) = enumerate(&ALL, |left| ask(left, None));
            let (order, hybrid) = classify(&accepted, versions, SURE, ask);
            let Hybrid {
                present,
                preferred,
                held,
                enforced,
                ..
            } = hybrid;
            (order, [present, preferred, held, enforced])
        };
        let only_13 = ["1.3"];
        assert_eq!(
            classified(&[0x11ec, 0x1d], false, &only_13),
            (Order::Server, [true, true, true, false])
        );
        assert_eq!(
            classified(&[0x1d, 0x11ec], false, &only_13),
            (Order::Server, [true, false, false, false])
        );
        assert_eq!(
            classified(&[0x11ec, 0x1d], true, &only_13),
            (Order::Client, [true, false, false, false])
        );
        assert_eq!(
            classified(&[0x11ec, 0x11ed], false, &only_13),
            (Order::Server, [true, true, true, true])
        );
        assert_eq!(
            classified(&[0x11ec, 0x11ed], false, &["1.3", "1.2"]),
            (Order::Server, [true, true, true, false])
        );
        assert_eq!(
            classified(&[0x1d], false, &only_13),
            (Order::Unknown, [false; 4])
        );
    }

    #[test]
    fn a_draft_that_no_client_offers_enforces_nothing() {
        let ask = server(&[groups::KYBER_DRAFT], false);
        let (_, hybrid) = classify(&[groups::KYBER_DRAFT], &["1.3"], SURE, ask);
        assert_eq!(hybrid, Hybrid::default());
    }

    /// A server that stops answering has not refused.
    #[test]
    fn silence_is_no_evidence() {
        let ask = server(&[0x11ed], false);
        let unsure = Certainty {
            complete: false,
            answered: true,
        };
        let (_, hybrid) = classify(&[0x11ed], &["1.3"], unsure, ask);
        assert!(
            hybrid.present && !hybrid.held && !hybrid.enforced,
            "{hybrid:?}"
        );
    }

    /// A server that closes on TLS 1.2 holds hybrid all the same, but enforces nothing that was seen.
    #[test]
    fn what_older_versions_do_not_say_is_not_held_against_the_groups() {
        let ask = server(&[0x11ed], false);
        let unsure = Certainty {
            complete: true,
            answered: false,
        };
        let (_, hybrid) = classify(&[0x11ed], &["1.3"], unsure, ask);
        assert!(hybrid.held && !hybrid.enforced, "{hybrid:?}");
    }

    #[test]
    fn a_share_of_secp384r1_shows_what_is_held() {
        let ask = server(&[0x11ed, 0x18], false);
        let (_, hybrid) = classify(&[0x11ed, 0x18], &["1.3"], SURE, ask);
        assert!(hybrid.held && hybrid.held_is_known, "{hybrid:?}");
        let ask = server(&[0x11ed, 0x1e], false);
        let (_, hybrid) = classify(&[0x11ed, 0x1e], &["1.3"], SURE, ask);
        assert!(!hybrid.held && !hybrid.held_is_known, "{hybrid:?}");
    }
}
