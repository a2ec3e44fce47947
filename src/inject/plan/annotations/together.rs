//! Values that are right alone and not beside others. Where the pod itself says both, one is a slip and is
//! refused. What its namespace says counts for the pods that it concerns, and gives way to what the pod says.

use super::choices::{Bind, Mode};
use super::reader::{Reader, refuse_many};
use super::source::{self, Source};
use super::tunnel::NO_PORTS;
use crate::inject::plan::deny::Deny;

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
        let problem = "has a meaning only with mode: takeover; explicit leaves the app where it is";
        read.pass_over(name, problem)?;
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
    let (name, other) = ("ticket-keys", "identity");
    let keys = source::read_secret(read, name, "tickets")?;
    let sends = |(flag, fields): &(&'static str, String)| {
        *flag == other && fields.split(',').any(|field| field == "client-cert")
    };
    if keys.is_none() || !neighbours.iter().any(sends) {
        return Ok(keys);
    }
    let problem = "contradicts identity: client-cert: a resumed session has no certificate to send; remove one of the two";
    if !read.outranks(name, other, problem)? {
        return Ok(None);
    }
    neighbours.retain(|neighbour| !sends(neighbour));
    Ok(keys)
}
