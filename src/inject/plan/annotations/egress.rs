//! The other half of a connection: where the app's own connections go over TLS. What the annotations hold is
//! read by the sidecar's own parsers, so that a mistake shows when the pod is created.

use std::net::SocketAddr;

use super::capture::{self, ALLOWED, CAPTURE, Capture, EGRESS, PROTOCOL};
use super::egress_env;
use super::reader::{Reader, parse_as, quoted, refuse_many, wrong};
use super::source::{self, Source};
use crate::inject::plan::deny::Deny;
use crate::inject::plan::settings::Settings;
use crate::listener::{overlap, reaches};
use crate::proxy::Target;
use crate::proxy::egress::Template;
use crate::tls::identity::Rules;
use crate::tls::policy::Mode as KeyExchange;

/// What the annotations `egress…` ask for.
#[derive(Clone, Debug)]
pub(crate) struct Egress {
    /// At least one; exactly one with a capture.
    pub(crate) entries: Vec<Entry>,
    pub(crate) capture: Option<Capture>,
    /// `http` or `tcp`; `None` with a capture, which says it.
    pub(crate) protocol: Option<&'static str>,
    /// What certifies the servers.
    pub(crate) ca: Source,
    /// Secret with what is shown to servers that ask.
    pub(crate) tls_secret: Option<String>,
    pub(crate) peer_ids: Option<String>,
    pub(crate) policy: KeyExchange,
    /// Variables of the app's containers.
    pub(crate) env: Vec<(String, String)>,
}

/// One place where apps connect.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) listen: SocketAddr,
    /// Where its connections go; with a capture the far end of a tunnel, if there is one.
    pub(crate) target: Option<String>,
}

const CA: &str = "egress-ca";
const SECRET: &str = "egress-tls-secret";
const PEER_IDS: &str = "egress-peer-ids";
const POLICY: &str = "egress-policy";
/// What means nothing without an egress.
const REST: [&str; 8] = [
    CAPTURE,
    PROTOCOL,
    ALLOWED,
    CA,
    SECRET,
    PEER_IDS,
    POLICY,
    egress_env::NAME,
];

pub(super) fn parse(read: &Reader<'_>, settings: &Settings) -> Result<Option<Egress>, Deny> {
    let Some(items) = read.list(EGRESS)?.filter(|_| !read.is_none(EGRESS)) else {
        // What a namespace says counts for its pods that have an egress.
        return match REST.iter().find(|name| read.own(name).is_some()) {
            Some(name) => Err(wrong(
                name,
                "has a meaning only with hybridge.dev/egress, such as store=127.0.0.1:9000->store.example.org:443; add that, or remove this",
            )),
            None => Ok(None),
        };
    };
    refuse_many(EGRESS, &items)?;
    let capture = capture::parse(read, &items)?;
    let entries = items.iter().map(|item| entry(item, capture.is_some()));
    let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
    refuse_repeats(&entries)?;
    refuse_circles(&entries)?;
    if capture.is_some() && entries.len() > 1 {
        return Err(wrong(
            EGRESS,
            "has several entries, and with hybridge.dev/egress-capture one carries every target; keep one, or write hybridge.dev/egress-capture: none",
        ));
    }
    Ok(Some(Egress {
        entries,
        protocol: protocol(read, capture.is_some())?,
        capture,
        ca: cas(read)?,
        tls_secret: read.secret(SECRET)?,
        peer_ids: peer_ids(read)?,
        policy: read.policy(POLICY)?.unwrap_or(settings.policy),
        env: egress_env::parse(read)?,
    }))
}

/// `NAME=LISTEN->TARGET`; with a capture the target may be absent.
fn entry(item: &str, captured: bool) -> Result<Entry, Deny> {
    let form = if captured {
        "with egress-capture, write NAME=LISTEN, such as peers=127.0.0.1:1080, or NAME=LISTEN->{host}:15443 for a tunnel"
    } else {
        "write NAME=LISTEN->TARGET, such as store=127.0.0.1:9000->store.example.org:443, or none as the only one"
    };
    let refused = |what: &str| wrong(EGRESS, &format!("has {}{what}; {form}", quoted(item)));
    let (name, rest) = item.split_once('=').ok_or_else(|| refused(""))?;
    let (listen, target) = match rest.split_once("->") {
        Some((listen, target)) => (listen, Some(target.trim())),
        None => (rest, None),
    };
    let name = name.trim();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 63 || !name.chars().all(is_name) {
        return Err(refused(
            ", whose name is no metric label: use at most 63 letters, digits, `-`, `_` and `.`",
        ));
    }
    let listen = listen.trim().parse::<SocketAddr>().ok();
    let listen = listen
        .filter(|listen| listen.port() != 0)
        .ok_or_else(|| refused(", which does not listen on IP:PORT (IPv6 in brackets)"))?;
    if !listen.ip().to_canonical().is_loopback() {
        return Err(refused(
            ", which is not loopback: anyone who reaches an egress speaks with the pod's identity",
        ));
    }
    let problem = match target {
        Some(target) if captured => parse_as::<Template>(target),
        Some(target) => parse_as::<Target>(target),
        None if captured => None,
        None => return Err(refused(", which names no target")),
    };
    match problem {
        Some(problem) => Err(refused(&format!(", whose target {problem}"))),
        None => Ok(Entry {
            name: name.to_owned(),
            listen,
            target: target.map(str::to_owned),
        }),
    }
}

fn refuse_repeats(entries: &[Entry]) -> Result<(), Deny> {
    for (position, entry) in entries.iter().enumerate() {
        let earlier = &entries[..position];
        if earlier.iter().any(|other| other.name == entry.name) {
            return Err(wrong(
                EGRESS,
                &format!(
                    "has the name {:?} twice; metrics and logs tell egresses apart by it",
                    entry.name
                ),
            ));
        }
        if let Some(other) = earlier
            .iter()
            .find(|other| overlap(other.listen, entry.listen))
        {
            let both = if other.listen == entry.listen {
                format!("{} twice", entry.listen)
            } else {
                format!(
                    "{} and {}, which are one address",
                    other.listen, entry.listen
                )
            };
            return Err(wrong(
                EGRESS,
                &format!("listens on {both}; give each entry an address of its own"),
            ));
        }
    }
    Ok(())
}

/// As the sidecar does at its start, which knows a target by its address and not by its name.
fn refuse_circles(entries: &[Entry]) -> Result<(), Deny> {
    for entry in entries {
        let target = entry.target.as_deref().and_then(|text| text.parse().ok());
        let Some(target) = target.as_ref().and_then(Target::address) else {
            continue;
        };
        if let Some(other) = entries.iter().find(|other| reaches(target, other.listen)) {
            return Err(wrong(
                EGRESS,
                &format!(
                    "has {:?} with target {target}, where {:?} listens ({}): connections would loop; write the server's own address",
                    entry.name, other.name, other.listen
                ),
            ));
        }
    }
    Ok(())
}

fn protocol(read: &Reader<'_>, captured: bool) -> Result<Option<&'static str>, Deny> {
    let protocol = read.parsed(PROTOCOL, "use one of http, tcp", |text| match text {
        "http" => Some("http"),
        "tcp" => Some("tcp"),
        _ => None,
    })?;
    if captured && read.own(PROTOCOL).is_some() {
        return Err(wrong(
            PROTOCOL,
            "contradicts egress-capture: capture says what the app speaks; remove one of the two, or write hybridge.dev/egress-capture: none",
        ));
    }
    Ok(protocol.filter(|_| !captured))
}

fn cas(read: &Reader<'_>) -> Result<Source, Deny> {
    if read.own(CA) == Some("system") {
        return Err(wrong(
            CA,
            "is \"system\", and the sidecar's image has no bundle of CAs; write configmap/NAME with the CAs of the servers, such as a bundle that trust-manager writes",
        ));
    }
    source::read(read, CA, "ca.crt")?.ok_or_else(|| {
        wrong(
            EGRESS,
            "needs annotation hybridge.dev/egress-ca: the CAs that certify the servers, such as configmap/server-ca; no server is trusted without it",
        )
    })
}

fn peer_ids(read: &Reader<'_>) -> Result<Option<String>, Deny> {
    let Some(given) = read.list(PEER_IDS)? else {
        return Ok(None);
    };
    for id in &given {
        Rules::default()
            .add_uri(id)
            .map_err(|problem| wrong(PEER_IDS, &format!("has {}, which {problem}", quoted(id))))?;
    }
    Ok(Some(given.join(",")))
}
