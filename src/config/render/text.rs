//! Values as TOML writes them.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::listener;
use crate::redact::{Secret, Shown};
use crate::time::duration_text;
use crate::tls::policy::{Group, Suite, TlsPolicy};

/// What a policy admits, in a `tls` table.
pub(super) fn policy(f: &mut fmt::Formatter<'_>, policy: &TlsPolicy) -> fmt::Result {
    writeln!(f, "  policy = {}", quoted(policy.mode().name()))?;
    let groups = list(policy.groups().iter().map(|group| group.name()));
    if has_default_groups(policy) {
        writeln!(f, "  # groups, by default: {groups}")?;
    } else {
        writeln!(f, "  groups = {groups}")?;
    }
    let suites = list(policy.suites().iter().map(|suite| suite.name()));
    writeln!(f, "  cipher-suites = {suites}")
}

/// A list that an operator wrote, even one equal to the default, decides by its order.
fn has_default_groups(policy: &TlsPolicy) -> bool {
    let groups: Option<&[Group]> = None;
    let suites: &[Suite] = policy.suites();
    TlsPolicy::new(policy.mode(), groups, Some(suites)).is_ok_and(|default| default == *policy)
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(super) fn path(path: &Path) -> String {
    let text = path.to_string_lossy();
    match Secret::of(&text) {
        Some(_) => quoted(&Shown::path(path).to_string()),
        None => quoted(&text),
    }
}

/// A text of the operator's choice, unless it may be a key.
pub(super) fn free(text: &str) -> String {
    match Secret::of(text) {
        Some(_) => quoted(&Shown::from(text).to_string()),
        None => quoted(text),
    }
}

pub(super) fn list<T: Into<toml::Value>>(items: impl Iterator<Item = T>) -> String {
    toml::Value::Array(items.map(Into::into).collect()).to_string()
}

pub(super) fn addresses(addresses: &[SocketAddr]) -> String {
    toml::Value::Array(addresses.iter().map(|a| a.to_string().into()).collect()).to_string()
}

pub(super) fn duration(duration: Duration) -> String {
    quoted(&duration_text(duration))
}

pub(super) fn timeout(timeout: Option<Duration>) -> String {
    timeout.map_or_else(|| quoted("none"), duration)
}
/// The limits of the socket side.
pub(super) fn socket_limits(
    f: &mut fmt::Formatter<'_>,
    socket: &listener::Settings,
    explicit_connections: bool,
) -> fmt::Result {
    // The default gives way to the limits of the process, a number that is written warns.
    let assigned = if explicit_connections {
        "max-connections ="
    } else {
        "# max-connections, by default:"
    };
    writeln!(f, "  {assigned} {}", socket.max_connections)?;
    writeln!(f, "  backlog = {}", socket.backlog)
}
