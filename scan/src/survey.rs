//! What one endpoint accepts, asked one question a connection, one after the other.

use serde::Serialize;

use crate::answer::Answer;
use crate::certificates::{self, Certificates};
use crate::dial::{Dial, Unreachable};
use crate::doctor::{self, Doctor};
use crate::groups::{self, Kind};
use crate::hello::{Hello, TLS12, TLS13};
use crate::target::Target;

/// The versions before TLS 1.3; only a ServerHello accepts one.
const VERSIONS: [(u16, &str); 3] = [(TLS12, "1.2"), (0x0302, "1.1"), (0x0301, "1.0")];

/// A group that the server would use.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Accepted {
    /// IANA's name.
    pub name: String,
    /// The number on the wire.
    pub number: u16,
    /// Its kind.
    pub kind: Kind,
}

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

/// Four different things that "supports hybrid" may mean.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Hybrid {
    /// A hybrid group is accepted.
    pub present: bool,
    /// It is chosen although the client lists classical groups first.
    pub preferred: bool,
    /// It is asked for although the client has sent a classical key share that would do.
    pub held: bool,
    /// Nothing classical is accepted, TLS 1.2 and older included, and every question was answered.
    pub enforced: bool,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Survey {
    /// The address that answered.
    pub address: String,
    /// TLS versions that are accepted.
    pub versions: Vec<&'static str>,
    /// The groups of TLS 1.3, in the order in which the server takes them.
    pub groups: Vec<Accepted>,
    /// Whether these are all: the server refused the others in so many words.
    pub complete: bool,
    /// Whose order that is.
    pub order: Order,
    /// The four meanings.
    pub hybrid: Hybrid,
    /// What the server presents; `None` if no handshake came that far.
    pub certificates: Certificates,
    /// How the endpoint and what stands before it take unusual hellos, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doctor: Option<Doctor>,
    /// What could not be told, and why.
    pub notes: Vec<String>,
}

/// Examines a target.
pub fn survey(target: &Target, dial: Dial, with_doctor: bool) -> Result<Survey, Unreachable> {
    let name = target.server_name();
    let all = groups::numbers();
    let ask = |groups: &[u16], share| {
        dial.ask(&Hello {
            name,
            version: TLS13,
            groups,
            share,
            padding: None,
        })
    };
    let mut notes = Vec::new();
    let (accepted, last) = enumerate(&all, |left| ask(left, None));
    let (versions, answered) = versions(accepted.is_empty(), name, dial);
    // Some servers without TLS 1.3 close the connection instead of refusing it.
    let complete = last.is_refusal() || (accepted.is_empty() && !versions.is_empty());
    if let Some(reason) = Unreachable::of(last).filter(|_| accepted.is_empty() && !complete) {
        return Err(reason);
    }
    if !complete {
        notes.push(format!(
            "the server did not refuse the groups that are left with an alert that says so ({last:?}): there may be more"
        ));
    }
    let whole = complete && answered;
    let (order, hybrid) = if accepted.is_empty() {
        (Order::Unknown, Hybrid::default())
    } else {
        judge(&accepted, &versions, whole, ask)
    };
    if accepted.contains(&groups::KYBER_DRAFT) {
        notes.push(
            "X25519Kyber768Draft00 does not count as hybrid: clients no longer offer that draft"
                .to_owned(),
        );
    }
    let certificates = certificates::collect(target, dial, accepted.is_empty(), &mut notes);
    Ok(Survey {
        address: dial.address.to_string(),
        versions,
        groups: accepted.iter().copied().map(accepted_group).collect(),
        complete,
        order,
        hybrid,
        certificates,
        doctor: with_doctor.then(|| doctor::examine(target, dial, &accepted)),
        notes,
    })
}

fn accepted_group(number: u16) -> Accepted {
    Accepted {
        name: groups::name(number),
        number,
        kind: groups::kind(number),
    }
}

/// Asks with ever fewer groups until the server takes none; the groups in its order, and its last answer.
fn enumerate(all: &[u16], ask: impl Fn(&[u16]) -> Answer) -> (Vec<u16>, Answer) {
    let (mut left, mut accepted) = (all.to_vec(), Vec::new());
    loop {
        let answer = ask(&left);
        // A group that was not offered would be offered again for ever.
        let Some(group) = answer.group().filter(|group| left.contains(group)) else {
            return (accepted, answer);
        };
        left.retain(|offered| *offered != group);
        accepted.push(group);
        if left.is_empty() {
            return (accepted, Answer::Alert(40));
        }
    }
}

/// The versions that are accepted, and whether each of the others was refused in so many words.
fn versions(no_tls13: bool, name: Option<&str>, dial: Dial) -> (Vec<&'static str>, bool) {
    let (mut accepted, mut answered) = (Vec::new(), true);
    if !no_tls13 {
        accepted.push("1.3");
    }
    let mut groups = groups::numbers();
    groups.retain(|group| groups::kind(*group) == Kind::Classical);
    for (version, text) in VERSIONS {
        let hello = Hello {
            name,
            version,
            groups: &groups,
            share: None,
            padding: None,
        };
        match dial.ask(&hello) {
            Answer::ServerHello {
                version: chosen, ..
            } if chosen == version => accepted.push(text),
            answer => answered &= answer.is_tls(),
        }
    }
    (accepted, answered)
}

fn judge(
    accepted: &[u16],
    versions: &[&str],
    whole: bool,
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
        enforced: whole
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
    let shares = [groups::X25519, groups::SECP256R1];
    found.held = match shares.into_iter().find(|share| classical.contains(share)) {
        Some(share) => is_hybrid(ask(&classical_first, Some(share))),
        // There is nothing classical to prefer, or none for which a share can be made.
        None => classical.is_empty() && whole,
    };
    (order, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server with groups of its own.
    fn server(groups: &'static [u16], by_client: bool) -> impl Fn(&[u16], Option<u16>) -> Answer {
        move |offered, share| {
            let first = |order: &[u16], other: &[u16]| {
                order.iter().copied().find(|group| other.contains(group))
            };
            let group = if by_client {
                first(offered, groups)
            } else {
                first(groups, offered)
            };
            match group {
                None => Answer::Alert(40),
                Some(group) if share == Some(group) => Answer::ServerHello {
                    version: TLS13,
                    group: Some(group),
                },
                Some(group) => Answer::Retry { group: Some(group) },
            }
        }
    }

    const ALL: [u16; 4] = [0x11ec, 0x11ed, 0x1d, 0x17];

    #[test]
    fn the_groups_come_in_the_servers_order_and_end_with_an_alert() {
        let ask = server(&[0x1d, 0x11ec], false);
        let (accepted, last) = enumerate(&ALL, |left| ask(left, None));
        assert_eq!(
            (&accepted[..], last),
            (&[0x1d, 0x11ec][..], Answer::Alert(40))
        );
    }

    #[test]
    fn a_server_that_names_what_was_not_offered_does_not_loop() {
        let (accepted, last) = enumerate(&ALL, |_| Answer::Retry { group: Some(0x99) });
        assert_eq!((accepted.len(), last.group()), (0, Some(0x99)));
    }

    #[test]
    fn present_preferred_held_and_enforced_are_four_things() {
        let judged = |groups: &'static [u16], by_client, versions: &[&str]| {
            let ask = server(groups, by_client);
            let (accepted, _) = enumerate(&ALL, |left| ask(left, None));
            let (order, hybrid) = judge(&accepted, versions, true, ask);
            let Hybrid {
                present,
                preferred,
                held,
                enforced,
            } = hybrid;
            (order, [present, preferred, held, enforced])
        };
        let only_13 = ["1.3"];
        assert_eq!(
            judged(&[0x11ec, 0x1d], false, &only_13),
            (Order::Server, [true, true, true, false])
        );
        assert_eq!(
            judged(&[0x1d, 0x11ec], false, &only_13),
            (Order::Server, [true, false, false, false])
        );
        assert_eq!(
            judged(&[0x11ec, 0x1d], true, &only_13),
            (Order::Client, [true, false, false, false])
        );
        assert_eq!(
            judged(&[0x11ec, 0x11ed], false, &only_13),
            (Order::Server, [true, true, true, true])
        );
        assert_eq!(
            judged(&[0x11ec, 0x11ed], false, &["1.3", "1.2"]),
            (Order::Server, [true, true, true, false])
        );
        assert_eq!(
            judged(&[0x1d], false, &only_13),
            (Order::Unknown, [false; 4])
        );
    }

    #[test]
    fn a_draft_that_no_client_offers_enforces_nothing() {
        let ask = server(&[groups::KYBER_DRAFT], false);
        let (_, hybrid) = judge(&[groups::KYBER_DRAFT], &["1.3"], true, ask);
        assert_eq!(hybrid, Hybrid::default());
    }

    /// A server that stops answering has not refused.
    #[test]
    fn silence_is_no_evidence() {
        let ask = server(&[0x11ed], false);
        let (_, hybrid) = judge(&[0x11ed], &["1.3"], false, ask);
        assert!(
            hybrid.present && !hybrid.held && !hybrid.enforced,
            "{hybrid:?}"
        );
    }
}
