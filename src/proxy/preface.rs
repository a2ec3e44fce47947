//! What an upstream of raw TCP is told of a client before its first byte: a PROXY protocol header.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::proxy::settings::UpstreamProxyProtocol;
use crate::proxy_protocol::{Addresses, Certificate, Tls, write_binary, write_text};
use crate::tls::handshake::{HandshakeKind, Session};
use crate::tls::policy::VERSION_NAME;

/// The header, or nothing. `server`: where the client connected to, if that is known.
pub(super) fn preface(
    wanted: UpstreamProxyProtocol,
    client: SocketAddr,
    server: Option<SocketAddr>,
    session: &Session,
) -> Vec<u8> {
    let unspecified = || -> IpAddr {
        match client {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        }
    };
    let server = server.unwrap_or_else(|| SocketAddr::new(unspecified(), 0));
    let addresses = &Addresses::new(client, server);
    match wanted {
        UpstreamProxyProtocol::Off => Vec::new(),
        UpstreamProxyProtocol::V1 => write_text(addresses),
        UpstreamProxyProtocol::V2 => write_binary(addresses, None),
        UpstreamProxyProtocol::V2Tls => write_binary(addresses, Some(&facts(session))),
        UpstreamProxyProtocol::V2Identity => {
            let peer = session.peer.as_deref();
            let tls = Tls {
                common_name: peer.and_then(|peer| peer.common_name.as_deref()),
                spiffe_id: peer.and_then(|peer| peer.spiffe_id()),
                ..facts(session)
            };
            write_binary(addresses, Some(&tls))
        }
    }
}

fn facts(session: &Session) -> Tls<'_> {
    Tls {
        version: VERSION_NAME,
        cipher: session.suite,
        group: session.group.name(),
        server_name: session.server_name.as_deref(),
        certificate: match (&session.peer, session.kind) {
            (None, _) => Certificate::None,
            (Some(_), HandshakeKind::Resumed) => Certificate::Session,
            (Some(_), _) => Certificate::Connection,
        },
        common_name: None,
        spiffe_id: None,
    }
}
