//! What can be served and still fails with clients, or is not used: said at start, at a reload and by
//! `check`. Only what every client refuses is an error; the rest must not keep a sidecar from its start.

use std::fmt;
use std::path::Path;

use hybridge_pem::{Block, Label, Position};
use x509_parser::certificate::X509Certificate;

use crate::counted::counted;
use crate::redact::Shown;
use crate::secret_file::{Exposure, exposure};

use super::block::Entry;
use super::facts::{CertificateFacts, title};
use super::named::names_nobody;
use super::path::{self, ShownBy};
use super::source::PairText;
use super::token::{is_token, pin_file};
use super::validity::rfc3339;

const DAY: i64 = 86_400;
/// Days left below which `check` warns.
const SOON: i64 = 14;
/// A certificate of short life is renewed late: it is not soon before the last third of its life.
const LAST_PART_OF_LIFE: i64 = 3;

/// Something about a pair that its operator should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    file: &'static str,
    path: Shown,
    what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} file {}: {}", self.file, self.path, self.what)
    }
}

impl Warning {
    fn of_certificate(path: &Path, what: String) -> Self {
        Self {
            file: "certificate",
            path: path.into(),
            what,
        }
    }

    /// A certificate that ends within two weeks; `check` says so, a running sidecar has its own clock.
    pub(crate) fn of_end(path: &Path, facts: &CertificateFacts, now: i64) -> Option<Self> {
        let left = facts.not_after - now;
        let life = facts.not_after - facts.not_before;
        let soon = left < (SOON * DAY).min(life / LAST_PART_OF_LIFE);
        soon.then(|| {
            let (days, hours) = (left / DAY, left % DAY / 3600);
            let what = format!(
                "it expires on {}, in {} and {}: renew it",
                rfc3339(facts.not_after),
                counted(days, "day"),
                counted(hours, "hour")
            );
            Self::of_certificate(path, what)
        })
    }
}

/// What is to be said of the own certificate of a server or a client.
pub(super) fn of_leaf(path: &Path, leaf: &Entry<'_>, by: ShownBy) -> Vec<Warning> {
    let x509 = &leaf.x509;
    let (name, purpose) = match by {
        ShownBy::Server => (names_nobody(x509), is_for_clients(x509)),
        ShownBy::Client => (None, is_for_servers(x509)),
    };
    let others = [purpose, cannot_sign(x509), is_ca(x509, by)].into_iter();
    let (at, subject) = (leaf.at, title(x509));
    let found = name.into_iter().chain(others.flatten().map(str::to_owned));
    found
        .map(|what| Warning::of_certificate(path, format!("{at}, \"{subject}\", {what}")))
        .collect()
}

fn is_for_clients(x509: &X509Certificate<'_>) -> Option<&'static str> {
    let Ok(Some(usage)) = x509.extended_key_usage() else {
        return None;
    };
    (!usage.value.server_auth && !usage.value.any).then_some(
        "is not for servers: its extended key usage lacks serverAuth and clients refuse it (RFC 5280, 4.2.1.12); have it issued for a server",
    )
}

fn is_for_servers(x509: &X509Certificate<'_>) -> Option<&'static str> {
    let Ok(Some(usage)) = x509.extended_key_usage() else {
        return None;
    };
    (!usage.value.client_auth && !usage.value.any).then_some(
        "is not for clients: its extended key usage lacks clientAuth and servers refuse it (RFC 5280, 4.2.1.12); have it issued for a client",
    )
}

fn cannot_sign(x509: &X509Certificate<'_>) -> Option<&'static str> {
    let Ok(Some(usage)) = x509.key_usage() else {
        return None;
    };
    (!usage.value.digital_signature()).then_some(
        "may not sign handshakes: its key usage lacks digitalSignature, which TLS 1.3 needs (RFC 8446, 4.4.2.2); have it issued with it",
    )
}

fn is_ca(x509: &X509Certificate<'_>, by: ShownBy) -> Option<&'static str> {
    x509.is_ca().then_some(match by {
        ShownBy::Server => {
            "is the certificate of a CA: clients that follow RFC 5280 refuse it for a server; have a server certificate issued (`hybridge certs` makes one to try with)"
        }
        ShownBy::Client => {
            "is the certificate of a CA: servers that follow RFC 5280 refuse it for a client; have a client certificate issued (`hybridge certs --client NAME` makes one to try with)"
        }
    })
}

/// What the other side refuses the whole chain for. It is verified only if nothing else was found, which would be said twice.
pub(super) fn of_path(
    path: &Path,
    chain: &[Entry<'_>],
    by: ShownBy,
    now: i64,
    is_good: bool,
) -> Vec<Warning> {
    let mut refusals = path::refusals(chain, by);
    if refusals.is_empty() && is_good {
        let verified = path::verified(chain, by, now);
        refusals.extend(verified.map(|why| (0, why)));
    }
    let found = refusals.into_iter().filter_map(|(at, what)| {
        let entry = chain.get(at)?;
        let text = format!("{}, \"{}\", {what}", entry.at, title(&entry.x509));
        Some(Warning::of_certificate(path, text))
    });
    found.collect()
}

/// What is to be said of the certificates behind the server's own: clients do without most of them.
pub(super) fn of_rest(path: &Path, chain: &[Entry<'_>], now: i64) -> Vec<Warning> {
    let mut found = Vec::new();
    for (index, entry) in chain.iter().enumerate().skip(1) {
        let mut say = |what: String| {
            let text = format!("{}, \"{}\", {what}", entry.at, title(&entry.x509));
            found.push(Warning::of_certificate(path, text));
        };
        let issued = |other: &Entry<'_>| entry.issued(other);
        let others = || {
            let others = chain.iter().enumerate();
            others
                .filter(|(at, _)| *at != index)
                .map(|(_, other)| other)
        };
        if !others().any(issued) {
            // An issuer of that name may have had several keys.
            let orphan = others().find(|orphan| {
                entry.has_name_of_issuer(orphan) && !chain.iter().any(|any| any.issued(orphan))
            });
            say(match orphan {
                Some(orphan) => format!(
                    "has the name of the issuer of {}, but another key: clients find no way from that one to a CA; put the certificate of the key that signed it here",
                    orphan.at
                ),
                None => "issued none of the other certificates: clients do not need it, remove it"
                    .into(),
            });
            continue;
        }
        if !chain[..index].iter().any(issued) {
            say("comes before the certificate that it issued: put the issuer after each certificate".into());
        }
        let validity = entry.x509.validity();
        let (from, until) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        if now > until {
            let until = rfc3339(until);
            say(format!(
                "expired on {until}: clients that need it refuse the chain; renew or remove it"
            ));
        } else if now < from {
            let from = rfc3339(from);
            say(format!(
                "is not valid before {from}: clients that need it refuse the chain"
            ));
        }
    }
    found
}

/// Who else may read the key, or write it as its group; one that everybody may write is not even read.
pub(super) fn of_permissions(key: &Path) -> Option<Warning> {
    if is_token(key) {
        return pin_file(key).and_then(|pin| of_pin(&pin));
    }
    let what = match exposure(key)? {
        Exposure::Writable(_) => return None,
        Exposure::WritableByGroup(mode) => {
            format!("its group may write it (mode {mode:04o}): `chmod 640`, or 600")
        }
        Exposure::Readable(mode) => format!(
            "everybody on this machine may read it (mode {mode:04o}): `chmod 600`, or 640 for a group"
        ),
    };
    Some(Warning {
        file: "private key",
        path: key.into(),
        what,
    })
}

/// Who else may read or write the PIN of a token: no key is replaced by that, so it is never an error.
fn of_pin(pin: &Path) -> Option<Warning> {
    let (who, mode) = match exposure(pin)? {
        Exposure::Writable(mode) | Exposure::Readable(mode) => ("everybody may read it", mode),
        Exposure::WritableByGroup(mode) => ("its group may write it", mode),
    };
    Some(Warning {
        file: "PIN",
        path: pin.into(),
        what: format!("{who} (mode {mode:04o}), and so use the keys of the token: `chmod 400`"),
    })
}

/// Blocks of both files that are not used. A file that is certificate and key file is meant to hold both.
pub(super) fn of_unused<'a>(
    cert: &'a Path,
    key: &'a Path,
    text: &PairText,
) -> impl Iterator<Item = Warning> + use<'a> {
    let both = cert == key;
    let in_cert = unused("certificate", cert, &text.cert, |block| {
        block.label.is_certificate() || (both && is_of_key(block))
    });
    let in_key = (!is_token(key)).then(|| {
        unused("private key", key, &text.key, |block| {
            is_of_key(block) || (both && block.label.is_certificate())
        })
    });
    let in_key = in_key.into_iter().flatten();
    // One file is read as two, and speaks once.
    let in_key = in_key.filter(move |_| !both);
    in_cert.into_iter().chain(in_key)
}

/// OpenSSL writes the curve of a key before it.
fn is_of_key(block: &Block) -> bool {
    block.label.is_private_key() || block.label.is("EC PARAMETERS")
}

fn unused(
    file: &'static str,
    path: &Path,
    text: &[u8],
    is_used: impl Fn(&Block) -> bool,
) -> Vec<Warning> {
    let blocks = hybridge_pem::blocks(text).unwrap_or_default();
    let unused = blocks.iter().filter(|block| !is_used(block));
    unused
        .map(|block| Warning {
            file,
            path: path.into(),
            what: unused_block(block.at, block.label),
        })
        .collect()
}

fn unused_block(at: Position, label: Label) -> String {
    match label {
        Label::Known(label) => format!("{at}, `{label}`, is not used"),
        Label::Unknown => format!("{at} has a label that is unknown and is not used"),
    }
}

#[cfg(test)]
mod tests;
