//! An egress written back.

use std::fmt;

use super::text::{duration, list, path, policy, quoted, socket_limits, timeout};
use crate::config::settings::EgressConfig;
use crate::proxy::Protocol;
use crate::proxy::egress::Destination;
use crate::tls::client::{CaSource, Settings};

pub(super) fn write(f: &mut fmt::Formatter<'_>, config: &EgressConfig) -> fmt::Result {
    let EgressConfig {
        socket,
        explicit_connections,
        egress,
        tls,
    } = config;
    writeln!(f, "\n[[egress]]")?;
    writeln!(f, "name = {}", quoted(&socket.name))?;
    let listen: Vec<_> = socket.all().map(|address| address.to_string()).collect();
    writeln!(f, "listen = {}", list(listen.iter().map(String::as_str)))?;
    if !socket.unix.paths.is_empty() {
        let mode = format!("{:04o}", socket.unix.mode);
        writeln!(f, "socket-mode = {}", quoted(&mode))?;
    }
    let mut all = socket.addresses.iter();
    if all.any(|address| !address.ip().to_canonical().is_loopback()) {
        writeln!(f, "unsafe-remote-listen = true")?;
    }
    match &egress.destination {
        Destination::Target(target) => {
            writeln!(f, "target = {}", quoted(&target.to_string()))?;
        }
        Destination::Named(named) => {
            writeln!(f, "capture = {}", quoted(named.capture.into()))?;
            if let Some(via) = &named.via {
                writeln!(f, "target = {}", quoted(&via.to_string()))?;
            }
            if named.tunnel {
                writeln!(f, "tunnel = true")?;
            }
            let rules: Vec<_> = named.allowed.iter().map(ToString::to_string).collect();
            let rules = list(rules.iter().map(String::as_str));
            writeln!(f, "targets-allowed = {rules}")?;
        }
    }
    writeln!(f, "protocol = {}", quoted(egress.protocol.name()))?;
    if egress.protocol == Protocol::Http {
        writeln!(f, "upstream-http = {}", quoted(egress.upstream_http.into()))?;
    }
    tls_section(f, tls)?;
    if let Some(name) = &egress.server_name {
        writeln!(f, "  server-name = {}", quoted(&name.to_str()))?;
    }
    writeln!(f, "  [egress.limits]")?;
    socket_limits(f, socket, *explicit_connections)?;
    writeln!(f, "  [egress.timeouts]")?;
    let (resolve, connect) = (egress.resolve_timeout, egress.connect_timeout);
    writeln!(f, "  resolve-timeout = {}", duration(resolve))?;
    writeln!(f, "  connect-timeout = {}", duration(connect))?;
    writeln!(f, "  idle-timeout = {}", timeout(egress.idle_timeout))
}

fn tls_section(f: &mut fmt::Formatter<'_>, tls: &Settings) -> fmt::Result {
    writeln!(f, "  [egress.tls]")?;
    policy(f, &tls.policy)?;
    let ca = match &tls.ca {
        CaSource::File(file) => path(file),
        CaSource::System => quoted("system"),
    };
    writeln!(f, "  ca = {ca}")?;
    if !tls.peer_ids.is_empty() {
        writeln!(f, "  peer-ids = {}", list(tls.peer_ids.uris()))?;
    }
    if let Some((cert, key)) = &tls.pair {
        writeln!(f, "  cert = {}", path(cert))?;
        writeln!(f, "  key = {}", path(key))?;
    }
    if !tls.alpn.is_empty() {
        let alpn = list(tls.alpn.iter().map(String::as_str));
        writeln!(f, "  alpn = {alpn}")?;
    }
    writeln!(f, "  resumption = {}", tls.resumption)?;
    let handshake = duration(tls.handshake_timeout);
    writeln!(f, "  handshake-timeout = {handshake}")
}
