//! The far end of a tunnel, and pods in which the sidecar has no port of the app behind TLS.

use super::clients::Clients;
use super::reader::{NONE, Reader, wrong};
use crate::inject::plan::deny::Deny;

const NAME: &str = "tunnel";
/// What `ports` says where no port of the app is to be behind TLS.
pub(crate) const NO_PORTS: &str = "none";
/// What says something about ports of the app that are behind TLS.
const OF_PORTS: [&str; 8] = [
    "mode",
    "listen-port",
    "protocol",
    "identity",
    "proxy-protocol-from",
    "upstream-proxy-protocol",
    "bind",
    "bind-env",
];

pub(super) fn parse(read: &Reader<'_>, clients: Option<&Clients>) -> Result<bool, Deny> {
    let asked = read.parsed(NAME, "use one of enabled, disabled", |text| match text {
        "enabled" => Some(true),
        "disabled" => Some(false),
        _ => None,
    })?;
    let ports = read.list("ports")?;
    let no_ports = ports.as_deref() == Some(&[NO_PORTS.to_owned()]);
    if asked != Some(true) {
        return Ok(false);
    }
    let problem = "contradicts tunnel: enabled, which leads to every port of the pod from 1024 on; remove one of the two";
    if ports.is_some() && !no_ports && read.outranks("ports", NAME, problem)? {
        return Ok(false);
    }
    let problem = "has a meaning only for ports behind TLS, and with tunnel: enabled there are none; remove it, or write hybridge.dev/tunnel: disabled";
    // What is taken away says nothing of ports.
    let is_off = |name: &&str| matches!(read.own(name), Some(NONE | "off"));
    for name in OF_PORTS.into_iter().filter(|name| !is_off(name)) {
        if read.own_outranks(name, NAME, problem)? {
            return Ok(false);
        }
    }
    let named = clients.is_some_and(|clients| {
        clients.mode == "required" && clients.rules.iter().all(|(rule, _)| *rule != "allow-any")
    });
    if !named {
        return Err(wrong(
            NAME,
            "leads to ports of this pod, so its peers must have certificates and be named: add hybridge.dev/client-auth: required, hybridge.dev/client-ca (or hybridge.dev/spiffe) and a rule such as hybridge.dev/allow-uri: spiffe://example.org/ns/ml/sa/train; or write hybridge.dev/tunnel: disabled",
        ));
    }
    Ok(true)
}
