//! Values that are right alone and not beside others. Where the pod itself says both, one is a slip and is
//! refused. What its namespace says counts for the pods that it concerns, and gives way to what the pod says.

use super::choices::{Bind, Mode};
use super::reader::{Reader, refuse_many, wrong};
use super::source::{self, Source};
use super::tunnel::NO_PORTS;
use crate::inject::plan::deny::Deny;
use crate::inject::plan::quantity::Quantity;

/// CPU request without an annotation.
const DEFAULT_CPU: &str = "100m";
const KEYS: &str = "ticket-keys";
const IDENTITY: &str = "identity";
const KEYS_AND_IDENTITY: &str = "contradicts identity: client-cert: a resumed session has no certificate to send; remove one of the two";
const OF_TAKEOVER: &str =
    "has a meaning only with mode: takeover; explicit leaves the app where it is";

/// Where the app is. A pod that says how it is moved is moved, whatever the mode of its namespace. The other way
/// round the namespace keeps others off the app's own port, and no pod changes that by the way.
pub(super) fn mode(read: &Reader<'_>) -> Result<Mode, Deny> {
    let (name, port) = ("mode", "listen-port");
    let mode = read.choice(name, Mode::Takeover)?;
    if mode == Mode::Explicit && read.own_outranks("bind-env", name, OF_TAKEOVER)? {
        return Ok(Mode::Takeover);
    }
    let is_of_namespace = read.own(name).is_none() && read.text(name).is_some();
    if mode == Mode::Takeover && is_of_namespace && read.own(port).is_some() {
        let problem = format!(
            "has a meaning only with mode: explicit, and {} is takeover, which keeps others off the app's own port; remove it, or write hybridge.dev/mode: explicit too",
            read.title(name)
        );
        return Err(wrong(port, &problem));
    }
    Ok(mode)
}

/// The app's ports behind TLS. `none` of a namespace is for its pods in which there is something else.
pub(super) fn ports(read: &Reader<'_>, has_else: bool) -> Result<Option<Vec<String>>, Deny> {
    let name = "ports";
    let ports = read.list(name)?;
    refuse_many(name, ports.as_deref().unwrap_or_default())?;
    let is_none = ports.as_deref() == Some(&[NO_PORTS.to_owned()]);
    Ok(ports.filter(|_| !is_none || has_else || read.own(name).is_some()))
}

/// The sidecar's ports in mode explicit.
pub(super) fn listen_ports(read: &Reader<'_>, mode: Mode) -> Result<Vec<u16>, Deny> {
    let name = "listen-port";
    let ports = read.listen_ports()?;
    if mode == Mode::Explicit || ports.is_empty() {
        return Ok(ports);
    }
    let problem = "has a meaning only with mode: explicit; in takeover the sidecar listens on the app's own port";
    read.pass_over(name, problem)?;
    Ok(Vec::new())
}

/// How the app is moved, and the variable that does it.
pub(super) fn bind(
    read: &Reader<'_>,
    mode: Mode,
) -> Result<(Bind, Option<(String, String)>), Deny> {
    let name = "bind-env";
    let bind = read.choice("bind", Bind::Auto)?;
    let Some(variable) = read.bind_env()? else {
        return Ok((bind, None));
    };
    if mode == Mode::Explicit {
        read.pass_over(name, OF_TAKEOVER)?;
        return Ok((bind, None));
    }
    if bind == Bind::Auto {
        return Ok((bind, Some(variable)));
    }
    let problem = "contradicts bind: none; remove one of the two";
    Ok(if read.outranks(name, "bind", problem)? {
        (Bind::Auto, Some(variable))
    } else {
        (bind, None)
    })
}

/// Keys of session tickets. A resumed session has no certificate for the app, so of the two the one that is
/// nearer to the pod counts.
pub(super) fn ticket_keys(
    read: &Reader<'_>,
    neighbours: &mut Vec<(&'static str, String)>,
) -> Result<Option<Source>, Deny> {
    if read.is_none(KEYS) {
        return Ok(None);
    }
    let keys = source::read_secret(read, KEYS, "tickets")?;
    let sends = |(flag, fields): &(&'static str, String)| *flag == IDENTITY && sends(fields);
    if keys.is_none() || !neighbours.iter().any(sends) {
        return Ok(keys);
    }
    if !read.outranks(KEYS, IDENTITY, KEYS_AND_IDENTITY)? {
        return Ok(None);
    }
    neighbours.retain(|neighbour| !sends(neighbour));
    Ok(keys)
}

/// Refuses both in one place even where no client is asked for a certificate yet: a pod that asks has both.
pub(super) fn refuse_keys_and_identity(read: &Reader<'_>) -> Result<(), Deny> {
    let have_keys = read.text(KEYS).is_some() && !read.is_none(KEYS);
    if have_keys && read.text(IDENTITY).is_some_and(sends) {
        read.outranks(KEYS, IDENTITY, KEYS_AND_IDENTITY)?;
    }
    Ok(())
}

fn sends(fields: &str) -> bool {
    fields.split(',').any(|field| field.trim() == "client-cert")
}

/// CPU that the sidecar requests, and its limit. Of two that exclude each other the one nearer to the pod counts,
/// and the other is as much: quotas demand both.
pub(super) fn cpu(read: &Reader<'_>) -> Result<(String, Option<String>), Deny> {
    let (name, other) = ("cpu-limit", "cpu-request");
    let request = read.quantity(other)?.unwrap_or_else(|| DEFAULT_CPU.into());
    if read.is_none(name) {
        return Ok((request, None));
    }
    let Some(limit) = read.quantity(name)? else {
        return Ok((request, None));
    };
    if Quantity::parse(&limit) >= Quantity::parse(&request) {
        return Ok((request, Some(limit)));
    }
    let problem =
        format!("is below cpu-request {request:?}; raise it, lower the request, or write none");
    // Beside the usual request a low limit is rather a slip.
    if read.text(other).is_none() {
        return Err(wrong(name, &problem));
    }
    Ok(if read.outranks(name, other, &problem)? {
        (limit.clone(), Some(limit))
    } else {
        (request.clone(), Some(request))
    })
}
