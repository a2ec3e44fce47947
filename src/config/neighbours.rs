//! What one listener believes of the proxies in front, and what it tells the upstream of a client.

use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use crate::proxy::{Protocol, UpstreamProxyProtocol};
use crate::proxy_protocol::Networks;
use crate::tls::trust::ClientAuth;

/// The proxies in front that name the client; none if nobody wrote one.
pub(super) fn proxy_protocol_from(layer: &Layer) -> Result<Networks, Error> {
    let key = Key::ProxyProtocolFrom;
    let Some(given) = layer.explicit(key) else {
        return Ok(Networks::default());
    };
    let parse = |text: &String| {
        text.parse().map_err(|problem| Error::Network {
            at: layer.place(key),
            written: text.as_str().into(),
            problem,
        })
    };
    given.list(key)?.iter().map(parse).collect()
}

/// What the upstream is told before the client's first byte.
pub(super) fn upstream_proxy_protocol(
    layer: &Layer,
    protocol: Protocol,
) -> Result<UpstreamProxyProtocol, Error> {
    let key = Key::UpstreamProxyProtocol;
    let wanted = layer.choice(key)?;
    if wanted == UpstreamProxyProtocol::Off {
        return Ok(wanted);
    }
    if protocol == Protocol::Http {
        return Err(Error::Excluded {
            at: layer.place(key),
            other: "protocol `http`".to_owned(),
            remedy: "there the upstream gets the client in x-forwarded-for and x-forwarded-client-cert; remove it, or set protocol = \"tcp\"",
        });
    }
    let mode: ClientAuth = layer.choice(Key::ClientAuth)?;
    if wanted == UpstreamProxyProtocol::V2Identity && mode == ClientAuth::Off {
        return Err(Error::Excluded {
            at: layer.place(key),
            other: "client-auth `off`".to_owned(),
            remedy: "no client is asked who it is; write v2-tls, or client-auth = \"required\"",
        });
    }
    Ok(wanted)
}
