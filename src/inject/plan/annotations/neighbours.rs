//! What the sidecar believes of proxies in front, and what it tells the app of a client: annotations
//! whose name and value are the sidecar's own, so that `run` reads what was checked here.

use std::str::FromStr;

use strum::VariantNames;

use super::reader::{Reader, wrong};
use crate::inject::plan::deny::Deny;
use crate::proxy::UpstreamProxyProtocol;
use crate::proxy_protocol::Network;

/// The settings by annotation, which is the sidecar's flag too.
pub(super) fn parse(
    read: &Reader<'_>,
    over_http: bool,
    asks_clients: bool,
) -> Result<Vec<(&'static str, String)>, Deny> {
    let mut given = Vec::new();
    if let Some(networks) = networks(read)? {
        given.push(("proxy-protocol-from", networks));
    }
    let name = "upstream-proxy-protocol";
    let what = format!("use one of {}", UpstreamProxyProtocol::VARIANTS.join(", "));
    let told = read.parsed(name, &what, |text| {
        UpstreamProxyProtocol::from_str(text).ok()
    })?;
    match told {
        None | Some(UpstreamProxyProtocol::Off) => {}
        Some(_) if over_http => {
            return Err(wrong(
                name,
                "has a meaning only with protocol: tcp; over HTTP the app gets the client in x-forwarded-for and x-forwarded-client-cert",
            ));
        }
        Some(UpstreamProxyProtocol::V2Identity) if !asks_clients => {
            return Err(wrong(
                name,
                "is v2-identity, and no client is asked who it is; use v2-tls, or add client-auth",
            ));
        }
        Some(told) => given.push((name, <&str>::from(told).to_owned())),
    }
    Ok(given)
}

fn networks(read: &Reader<'_>) -> Result<Option<String>, Deny> {
    let name = "proxy-protocol-from";
    let Some(given) = read.list(name)? else {
        return Ok(None);
    };
    for network in &given {
        Network::from_str(network)
            .map_err(|problem| wrong(name, &format!("has {network:?}, which {problem}")))?;
    }
    Ok(Some(given.join(",")))
}
