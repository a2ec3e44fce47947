//! What one endpoint accepts, asked one question a connection, one after the other.

mod hybrid;

use serde::Serialize;

use self::hybrid::{Certainty, classify};
pub use self::hybrid::{Hybrid, Order};
use crate::answer::Answer;
use crate::certificates::{self, Certificates, Place};
use crate::dial::{Dial, Unreachable};
use crate::doctor::{self, Doctor};
use crate::groups::{self, Kind, Known};
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
    /// How the endpoint and the middleboxes in front of it take unusual ClientHellos, if that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doctor: Option<Doctor>,
    /// What could not be told, and why.
    pub notes: Vec<String>,
}

impl Survey {
    /// Whether the server is known to accept a connection, and no group that protects.
    pub fn is_classical(&self) -> bool {
        let mut groups = self.groups.iter();
        let accepts = self.complete && !self.versions.is_empty();
        accepts && !groups.any(|group| groups::is_protected(group.number))
    }
}

/// Examines a target.
pub fn survey(
    target: &Target,
    dial: Dial,
    known: &[Known],
    with_doctor: bool,
) -> Result<Survey, Unreachable> {
    let name = target.server_name();
    let all = groups::numbers();
    let ask = |version, groups: &[u16], share| {
        dial.ask(&Hello {
            name,
            version,
            groups,
            share,
            padding: None,
        })
    };
    let ask_13 = |groups: &[u16], share| again(|| ask(TLS13, groups, share));
    let mut notes = Vec::new();
    let (accepted, last) = enumerate(&all, |left| ask_13(left, None));
    let (versions, unanswered) = versions(accepted.is_empty(), |version, groups| {
        ask(version, groups, None)
    });
    let accepts_nothing = versions.is_empty();
    let complete = !accepts_nothing && refuses_the_rest(last, &accepted);
    if let Some(reason) = Unreachable::of(last).filter(|_| accepts_nothing) {
        return Err(reason);
    }
    if accepts_nothing {
        notes.push(format!(
            "the server refused every hello ({last:?}): it may want {}, or stop hellos that it does not know",
            name.map_or("a server name, which an address cannot send", |_| "another server name")
        ));
    } else if !complete {
        notes.push(format!(
            "the server did not refuse the groups that are left with an alert that says so ({last:?}): there may be more"
        ));
    }
    if !accepts_nothing && !unanswered.is_empty() {
        notes.push(format!(
            "TLS {}: neither accepted nor refused in so many words, so nothing is called enforced",
            unanswered.join(", ")
        ));
    }
    let answered = unanswered.is_empty();
    let sure = Certainty { complete, answered };
    let (order, hybrid) = classify(&accepted, &versions, sure, &mut notes, ask_13);
    if dial.others > 0 {
        notes.push(format!(
            "further addresses of the name, which were not examined: {}; give each of them to examine it",
            dial.others
        ));
    }
    if accepted.contains(&groups::KYBER_DRAFT) {
        notes.push(
            "X25519Kyber768Draft00 does not count as hybrid: clients no longer offer that draft"
                .to_owned(),
        );
    }
    let mut certificates = certificates::collect(target, dial, &accepted, known, &mut notes);
    if accepted.is_empty() && !complete {
        // It may speak TLS 1.3, and no version before that has ML-DSA.
        certificates.unknown.push(Place::MlDsa);
    }
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

/// Asks a second time what got no answer; `Closed` only if it was closed both times.
fn again(ask: impl Fn() -> Answer) -> Answer {
    let first = ask();
    if !first.is_missing() {
        return first;
    }
    match ask() {
        second if second.is_missing() && second != first => Answer::Silent,
        second => second,
    }
}

/// Whether the last answer says that no group is accepted beside these.
fn refuses_the_rest(last: Answer, accepted: &[u16]) -> bool {
    match last {
        // Some servers without TLS 1.3 close the connection instead of refusing it.
        Answer::Closed => accepted.is_empty(),
        Answer::ServerHello { version, .. } => version < TLS13,
        other => other.is_refusal(),
    }
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

/// The versions that are accepted, and those that were neither accepted nor refused in so many words.
fn versions(
    no_tls13: bool,
    ask: impl Fn(u16, &[u16]) -> Answer,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let (mut accepted, mut unanswered) = (Vec::new(), Vec::new());
    if !no_tls13 {
        accepted.push("1.3");
    }
    let groups = groups::before_13();
    for (version, text) in VERSIONS {
        match ask(version, &groups) {
            Answer::ServerHello {
                version: chosen, ..
            } if chosen == version => accepted.push(text),
            // An older version than the one that was asked for is a refusal of this one.
            Answer::ServerHello {
                version: chosen, ..
            } if chosen < version => {}
            answer if answer.is_refusal() => {}
            _ => unanswered.push(text),
        }
    }
    (accepted, unanswered)
}

#[cfg(test)]
mod tests;
