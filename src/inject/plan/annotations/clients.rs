//! Who may in: `client-auth`, `client-ca`, `client-crl` and the allow rules of one pod. The rules are read
//! as the sidecar reads them, so that a mistake shows when the pod is created.

use std::str::FromStr;

use super::reader::{Reader, quoted, wrong};
use super::source::{self, Source};
use crate::inject::plan::deny::Deny;
use crate::tls::identity::{RuleError, Rules};
use crate::tls::trust::ClientAuth;

/// Each list of rules: the annotation, and what adds one rule.
const RULES: [(&str, AddRule); 4] = [
    ("allow-uri", Rules::add_uri),
    ("allow-dns", Rules::add_dns),
    ("allow-ip", Rules::add_ip),
    ("allow-cn", Rules::add_common_name),
];

type AddRule = fn(&mut Rules, &str) -> Result<(), RuleError>;

/// How clients are verified in one pod.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// `required` or `optional`.
    pub(crate) mode: &'static str,
    /// `None`: an agent gives the CAs.
    pub(crate) ca: Option<Source>,
    pub(crate) crl: Option<Source>,
    /// The rules by annotation, which is the sidecar's flag too.
    pub(crate) rules: Vec<(&'static str, String)>,
}

/// How clients are verified, by an agent's CAs if there is an agent; `None` if they are not asked.
pub(super) fn parse(read: &Reader<'_>, agent: bool) -> Result<Option<Clients>, Deny> {
    let mode = read.parsed(
        "client-auth",
        "use one of off, optional, required",
        |text| ClientAuth::from_str(text).ok(),
    )?;
    let ca = source::read(read, "client-ca", "ca.crt")?.filter(|_| !agent);
    let crl = source::read(read, "client-crl", "ca.crl")?.filter(|_| !agent);
    let rules = rules(read)?;
    let any = read.flag("allow-any")? && !is_narrowed(read, &rules);
    let mode = match mode {
        // Written out, so nobody is deceived: the rest may be the namespace's.
        Some(ClientAuth::Off) => return Ok(None),
        Some(mode) => mode.into(),
        // What the namespace says counts for its pods that ask.
        None => {
            return match said(read).find(|name| read.own(name).is_some()) {
                None => Ok(None),
                Some(name) => Err(wrong(
                    name,
                    "has no effect alone: no client is asked for a certificate; add annotation hybridge.dev/client-auth: required, or remove it",
                )),
            };
        }
    };
    if ca.is_none() && !agent {
        return Err(wrong(
            "client-auth",
            "needs annotation hybridge.dev/client-ca: the CAs that certify clients, such as configmap/client-ca; or hybridge.dev/spiffe, and no file that counts before it",
        ));
    }
    let rules = match (any, rules.is_empty()) {
        (true, true) => vec![("allow-any", "true".to_owned())],
        (false, false) => rules,
        (false, true) => {
            return Err(wrong(
                "client-auth",
                "needs a rule that says which clients are allowed, such as hybridge.dev/allow-uri: spiffe://example.org/ns/ai/**; hybridge.dev/allow-any: \"true\" allows all that client-ca certifies",
            ));
        }
        (true, false) => {
            return Err(wrong(
                "allow-any",
                "contradicts the other allow rules: it lets in every client that client-ca certifies; keep one of the two",
            ));
        }
    };
    Ok(Some(Clients {
        mode,
        ca,
        crl,
        rules,
    }))
}

/// What the namespace says of clients where nobody says whether they are asked: meant for pods that say it
/// themselves, or a `client-auth` that was forgotten.
pub(super) fn unasked(read: &Reader<'_>) -> Option<&'static str> {
    let is_open = read.text("client-auth").is_none();
    said(read).next().filter(|_| is_open)
}

/// What is said of the certificates of clients.
fn said(read: &Reader<'_>) -> impl Iterator<Item = &'static str> {
    let names = ["client-ca", "client-crl", "allow-any"];
    let names = names.into_iter().chain(RULES.map(|(name, _)| name));
    names.filter(|name| match *name {
        "allow-any" => read.text(name) == Some("true"),
        _ => read.text(name).is_some(),
    })
}

/// Whether a rule nearer to the pod lets in fewer clients than `allow-any`. It is not so the other way
/// round: `allow-any` of the pod does not widen what its namespace allows.
fn is_narrowed(read: &Reader<'_>, rules: &[(&'static str, String)]) -> bool {
    let any = read.level("allow-any");
    rules.iter().any(|(name, _)| read.level(name) > any)
}

fn rules(read: &Reader<'_>) -> Result<Vec<(&'static str, String)>, Deny> {
    let mut found = Vec::new();
    for (name, add) in RULES {
        let Some(given) = read.list(name)? else {
            continue;
        };
        for rule in &given {
            add(&mut Rules::default(), rule).map_err(|problem| {
                wrong(name, &format!("has {}, which {problem}", quoted(rule)))
            })?;
        }
        found.push((name, given.join(",")));
    }
    Ok(found)
}
