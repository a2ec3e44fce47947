//! What can be wrong with a configuration, each error naming place, key, value and remedy.

use std::io;
use std::sync::Arc;

use thiserror::Error;

use super::address::AddressError;
use super::alias;
use super::egress_error::EgressError;
use super::origin::Origin;
use super::value_type::ValueType;
use crate::proxy_protocol::NetworkError;
use crate::redact::{Secret, Shown};
use crate::spiffe::EndpointError;
use crate::suggest::did_you_mean;
use crate::tls::certificates::ServedNameError;
use crate::tls::identity::RuleError;
use crate::tls::policy::PolicyError;
use crate::tls::policy::{Profile, Requirement};

/// A configuration that cannot be run. Exit code 64.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// An address that cannot be read.
    #[error("{at}: {problem}")]
    Address {
        /// Where it was written.
        at: Origin,
        /// What is wrong with it.
        problem: AddressError,
    },
    /// Two sockets on one address and port.
    #[error("{at}: {claim} is also taken by {other}: give each its own port")]
    AddressTaken {
        /// Where the later one was written.
        at: Origin,
        /// The later one and whose it is.
        claim: String,
        /// Who else has it, with the address.
        other: String,
    },
    /// A listener that would feed itself.
    #[error(
        "{at}: {upstream} is an address that {listener} accepts on: the sidecar would call itself; write the upstream's own address"
    )]
    CallsItself {
        /// Where the upstream was written.
        at: Origin,
        /// The upstream.
        upstream: String,
        /// The listener and its address.
        listener: String,
    },
    /// A listener or egress that would let its clients into the admin port.
    #[error(
        "{at}: {to} is an address of {admin}: a client could end this process; write the server's own address"
    )]
    LeadsToAdmin {
        /// Where it was written.
        at: Origin,
        /// Upstream or target.
        to: String,
        /// The admin port and its address.
        admin: String,
    },
    /// A setting that is given together with one it excludes.
    #[error("{at}: cannot be combined with {other}: {remedy}")]
    Excluded {
        /// Where it was written.
        at: Origin,
        /// The other one.
        other: String,
        /// What to do.
        remedy: &'static str,
    },
    /// An agent's address that cannot be one.
    #[error("{at}: {problem}")]
    Endpoint {
        /// Where it was written.
        at: Origin,
        /// What is wrong with it.
        problem: EndpointError,
    },
    /// A key in a token that cannot be used, or the like.
    #[error("{at}: {problem}")]
    Unusable {
        /// Where it was written.
        at: Origin,
        /// What is wrong with it; of a key, without its text.
        problem: String,
    },
    /// A value that is not of its type.
    #[error("{at}: `{written}` is not {value_type}{examples}{hint}", examples = value_type.examples(), hint = alias::hint(written, *nearest))]
    WrongType {
        /// Where it was written.
        at: Origin,
        /// What was written.
        written: Shown,
        /// What it should look like.
        value_type: ValueType,
        /// The known word that is closest.
        nearest: Option<&'static str>,
    },
    /// A setting of HTTP on a listener that relays bytes.
    #[error(
        "{at}: has no meaning with protocol `{protocol}` of listener `{listener}`: remove it, or set protocol `http`"
    )]
    HttpOnly {
        /// Where it was written.
        at: Origin,
        /// What the listener speaks instead.
        protocol: &'static str,
        /// The listener.
        listener: String,
    },
    /// A key or certificate itself where a setting should be.
    #[error("{at}: takes {value_type}, but {what} was given ({bytes} bytes, not shown){remedy}", remedy = key_remedy(*value_type, *what))]
    KeyText {
        /// Where it was written.
        at: Origin,
        /// What it should look like.
        value_type: ValueType,
        /// What it is instead.
        what: Secret,
        /// How long it is.
        bytes: usize,
    },
    /// A log level or filter that cannot be read.
    #[error("{at}: `{written}` is not a log level (off, error, warn, info, debug, trace) or a list of target=level{hint}", hint = did_you_mean(*nearest))]
    LogLevel {
        /// Where it was written.
        at: Origin,
        /// What was written.
        written: Shown,
        /// The known level that is closest.
        nearest: Option<&'static str>,
    },
    /// Flags that describe a listener beside a file that has several.
    #[error(
        "{at}: flags and environment describe one listener, but {path} has {count}: change it there"
    )]
    ManyListeners {
        /// The flag or variable.
        at: Origin,
        /// The file.
        path: String,
        /// How many it has.
        count: usize,
    },
    /// A setting without a default that nobody gave.
    #[error("{at}: missing: {remedy}")]
    Missing {
        /// Where it should stand.
        at: Origin,
        /// What to write.
        remedy: &'static str,
    },
    /// A listener name that cannot be a label, or PEM text instead of a path, or the like.
    #[error("{at}: {problem}")]
    Refused {
        /// Where it was written.
        at: Origin,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// A network that cannot be compared with an address.
    #[error("{at}: `{written}` {problem}")]
    Network {
        /// Where it was written.
        at: Origin,
        /// What was written.
        written: Shown,
        /// What is wrong with it.
        problem: NetworkError,
    },
    /// Two listeners with one name.
    #[error(
        "{at}: `{name}` is the name of two listeners or egresses: metrics and logs tell them apart by name"
    )]
    NameTaken {
        /// Where the later one was written.
        at: Origin,
        /// The name.
        name: Shown,
    },
    /// A file without a listener, and no flag that makes one.
    #[error(
        "{path}: no listener: write a [[listener]], or give --listen, --upstream, --cert and --key"
    )]
    NoListener {
        /// The file.
        path: String,
    },
    /// A policy that contradicts itself.
    #[error("{at}: {owner}: {problem}")]
    Policy {
        /// Where the value was written.
        at: Origin,
        /// The listener.
        owner: Box<str>,
        /// The contradiction.
        problem: PolicyError,
    },
    /// A setting that contradicts the profile of its listener.
    #[error(
        "{at}: contradicts profile `{name}`, which asks for {wanted} ({rule}: {source_of_rule}): remove it, or change the profile",
        name = profile.name(), wanted = rule.wanted(*profile), rule = rule.id(), source_of_rule = rule.source()
    )]
    Profile {
        /// Where it was written.
        at: Origin,
        /// The profile.
        profile: Profile,
        /// What the profile asks for there.
        rule: Requirement,
    },
    /// Plaintext that would leave the host.
    #[error(
        "{at}: {upstream} is not loopback: plaintext would leave this host; use 127.0.0.1, [::1] or unix:/PATH, or accept that with unsafe-remote-upstream (--unsafe-remote-upstream)"
    )]
    RemoteUpstream {
        /// Where it was written.
        at: Origin,
        /// The upstream.
        upstream: String,
    },
    /// A name that no client can ask for.
    #[error("{at}: {problem}")]
    ServedName {
        /// Where it was written.
        at: Origin,
        /// What is wrong with it.
        problem: ServedNameError,
    },
    /// An egress that cannot be.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// An allow rule that cannot be compared with a name.
    #[error("{at}: `{written}` {problem}")]
    Rule {
        /// Where it was written.
        at: Origin,
        /// What was written.
        written: Shown,
        /// What is wrong with it.
        problem: RuleError,
    },
    /// Text that is not TOML.
    #[error("{path}:{line}: {message}")]
    Syntax {
        /// The file as the operator named it.
        path: Arc<str>,
        /// Counted from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A file far larger than a configuration.
    #[error("{path}: larger than 1MiB: this is not a configuration")]
    TooLarge {
        /// The file.
        path: Shown,
    },
    /// A key nobody knows.
    #[error("{at}: unknown key: {hint}")]
    UnknownKey {
        /// Where it was written.
        at: Origin,
        /// The nearest known key, or where it belongs.
        hint: String,
    },
    /// An environment variable that looks like a slip of the finger.
    #[error("{given}: unknown environment variable: did you mean {nearest}?")]
    UnknownVariable {
        /// What was set.
        given: Shown,
        /// The closest known one.
        nearest: String,
    },
    /// A file that cannot be opened or read.
    #[error("{path}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: Shown,
        /// Why.
        source: io::Error,
    },
}

fn key_remedy(value_type: ValueType, what: Secret) -> String {
    match (value_type, what) {
        (ValueType::Path, what) | (_, what @ Secret::Pin) => format!(": {}", what.remedy()),
        _ => String::new(),
    }
}
