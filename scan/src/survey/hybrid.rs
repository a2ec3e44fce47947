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

/// Four different things that "supports hybrid" may mean; `None` is not known. Read as named fields, not as a map: a name
/// that occurs twice is refused.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Hybrid {
    /// A hybrid group is accepted.
    pub present: Option<bool>,
    /// It is chosen although the client lists classical groups first.
    pub preferred: Option<bool>,
    /// It is asked for although the client has sent a classical key share that would do.
    pub held: Option<bool>,
    /// No classical group of those that are asked for is accepted, TLS 1.2 and older included.
    pub enforced: Option<bool>,
}

impl Hybrid {
    /// Each with its name.
    pub fn meanings(self) -> [(&'static str, Option<bool>); 4] {
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
    notes: &mut Vec<String>,
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
    let weaker = accepted.iter().any(|group| !groups::is_protected(*group))
        || versions.iter().any(|version| *version != "1.3");
    let enforced = if weaker {
        Some(false)
    } else {
        (!accepted.is_empty() && sure.complete && sure.answered).then_some(true)
    };
    if hybrid.is_empty() {
        let missing = sure.complete.then_some(false);
        let found = Hybrid {
            present: missing,
            preferred: missing,
            held: missing,
            enforced,
        };
        return (order, found);
    }
    let classical_first: Vec<u16> = classical.iter().chain(&hybrid).copied().collect();
    let mut chosen = |meaning: &str, share| {
        let answer = ask(&classical_first, share);
        let group = answer.group();
        let one_of = |groups: &[u16]| group.is_some_and(|group| groups.contains(&group));
        let found = (one_of(&hybrid) || one_of(&classical)).then(|| one_of(&hybrid));
        if found.is_none() {
            notes.push(format!(
                "whether hybrid is {meaning} is not known: the server was asked and named no group that was offered ({answer:?})"
            ));
        }
        found
    };
    let preferred = chosen("preferred", None);
    let share = SHARED.into_iter().find(|share| classical.contains(share));
    let held = match share {
        Some(share) => chosen("held", Some(share)),
        // There is nothing classical to prefer, as far as the server said.
        None if classical.is_empty() => sure.complete.then_some(true),
        None => {
            notes.push("whether hybrid is held is not known: no share can be made of the classical groups that are accepted".to_owned());
            None
        }
    };
    let found = Hybrid {
        present: Some(true),
        preferred,
        held,
        enforced,
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
            let mut notes = Vec::new();
            let (order, hybrid) = classify(&accepted, versions, SURE, &mut notes, ask);
            assert_eq!(notes, [""; 0]);
            (order, hybrid.meanings().map(|(_, is)| is == Some(true)))
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

    fn classified(
        accepted: &[u16],
        sure: Certainty,
        ask: impl Fn(&[u16], Option<u16>) -> Answer,
    ) -> ([Option<bool>; 4], Vec<String>) {
        let mut notes = Vec::new();
        let (_, hybrid) = classify(accepted, &["1.3"], sure, &mut notes, ask);
        (hybrid.meanings().map(|(_, is)| is), notes)
    }

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[test]
    fn a_draft_that_no_client_offers_enforces_nothing() {
        let ask = server(&[groups::KYBER_DRAFT], false);
        let (found, _) = classified(&[groups::KYBER_DRAFT], SURE, ask);
        assert_eq!(found, [NO; 4]);
    }

    /// A server that stops answering has not refused.
    #[test]
    fn silence_is_no_evidence() {
        let ask = server(&[0x11ed], false);
        let unsure = Certainty {
            complete: false,
            answered: true,
        };
        let (found, _) = classified(&[0x11ed], unsure, ask);
        assert_eq!(found, [YES, YES, None, None]);
        let (found, _) = classified(&[], unsure, |_, _| Answer::Silent);
        assert_eq!(found, [None; 4]);
        // What it accepts is known all the same.
        let (found, _) = classified(&[0x1d], unsure, |_, _| Answer::Silent);
        assert_eq!(found, [None, None, None, NO]);
    }

    /// Only another group says that hybrid is not chosen.
    #[test]
    fn a_question_without_an_answer_is_not_known() {
        for answer in [
            Answer::Silent,
            Answer::Closed,
            Answer::Alert(40),
            Answer::Retry { group: Some(0x99) },
        ] {
            let (found, notes) = classified(&[0x11ec, 0x1d], SURE, |_, _| answer);
            assert_eq!(found, [YES, None, None, NO], "{answer:?}");
            let said = ["preferred", "held"];
            assert!(
                notes.len() == 2
                    && notes
                        .iter()
                        .zip(said)
                        .all(|(note, what)| note.contains(what)),
                "{notes:?}"
            );
        }
        let classical = |_: &[u16], _| Answer::Retry { group: Some(0x1d) };
        let (found, notes) = classified(&[0x11ec, 0x1d], SURE, classical);
        assert_eq!((found, notes.len()), ([YES, NO, NO, NO], 0));
    }

    /// A server that closes on TLS 1.2 holds hybrid all the same; whether it enforces that was not seen.
    #[test]
    fn what_older_versions_do_not_say_is_not_held_against_the_groups() {
        let ask = server(&[0x11ed], false);
        let unsure = Certainty {
            complete: true,
            answered: false,
        };
        let (found, _) = classified(&[0x11ed], unsure, ask);
        assert_eq!(found, [YES, YES, YES, None]);
    }

    #[test]
    fn a_share_of_secp384r1_shows_what_is_held() {
        let ask = server(&[0x11ed, 0x18], false);
        let (found, _) = classified(&[0x11ed, 0x18], SURE, ask);
        assert_eq!(found, [YES, YES, YES, NO]);
        let ask = server(&[0x11ed, 0x1e], false);
        let (found, notes) = classified(&[0x11ed, 0x1e], SURE, ask);
        assert_eq!((found, notes.len()), ([YES, YES, None, NO], 1));
    }
}
