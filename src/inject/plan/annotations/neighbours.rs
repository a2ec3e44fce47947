//! What the sidecar accepts from proxies in front, and what it tells the app of a client: annotations
//! whose name and value are the sidecar's own, so that `run` reads what was checked here.

use std::collections::BTreeSet;
use std::str::FromStr;

use strum::VariantNames;

use super::reader::{Reader, wrong};
use crate::inject::plan::deny::Deny;
use crate::proxy::{IdentityField, UpstreamProxyProtocol};
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
    if let Some(fields) = identity(read, over_http, asks_clients)? {
        given.push(("identity", fields));
    }
    let name = "upstream-proxy-protocol";
    let what = format!("use one of {}", UpstreamProxyProtocol::VARIANTS.join(", "));
    let told = read.parsed(name, &what, |text| {
        UpstreamProxyProtocol::from_str(text).ok()
    })?;
    match told {
        None | Some(UpstreamProxyProtocol::Off) => {}
        Some(_) if over_http => read.pass_over(
            name,
            "has a meaning only with protocol: tcp; over HTTP the app gets the client in x-forwarded-for and x-forwarded-client-cert",
        )?,
        Some(UpstreamProxyProtocol::V2Identity) if !asks_clients => {
            read.pass_over(
                name,
                "is v2-identity, and no client is asked who it is; use v2-tls, or add client-auth",
            )?;
            // To the app it is the header of a client without a certificate.
            given.push((name, <&str>::from(UpstreamProxyProtocol::V2Tls).to_owned()));
        }
        Some(told) => given.push((name, <&str>::from(told).to_owned())),
    }
    Ok(given)
}

/// The header fields that tell the app of a client's certificate.
fn identity(
    read: &Reader<'_>,
    over_http: bool,
    asks_clients: bool,
) -> Result<Option<String>, Deny> {
    let name = "identity";
    let Some(fields) = read.list(name)? else {
        return Ok(None);
    };
    let known = IdentityField::VARIANTS;
    let is_none = fields.iter().any(|field| field == "none");
    let unknown = |field: &&String| *field != "none" && !known.contains(&field.as_str());
    if let Some(field) = fields.iter().find(unknown) {
        let known = known.join(", ");
        return Err(wrong(
            name,
            &format!("has {field:?}; use {known}, separated by commas, or none"),
        ));
    }
    let distinct: BTreeSet<&String> = fields.iter().collect();
    if distinct.len() != fields.len() || (is_none && fields.len() > 1) {
        return Err(wrong(
            name,
            "names each field once; `none` cannot be combined",
        ));
    }
    let names = |field: IdentityField| fields.iter().any(|given| given == field.name());
    if names(IdentityField::ClientCertChain) && !names(IdentityField::ClientCert) {
        return Err(wrong(
            name,
            "has client-cert-chain without client-cert; name both",
        ));
    }
    if over_http && asks_clients {
        return Ok(Some(fields.join(",")));
    }
    // `none` is what such an app gets.
    if !is_none {
        read.pass_over(
            name,
            "has a meaning only with protocol: http and client-auth: no other app gets a field about a certificate; add client-auth, or remove it",
        )?;
    }
    Ok(None)
}

fn networks(read: &Reader<'_>) -> Result<Option<String>, Deny> {
    let name = "proxy-protocol-from";
    let Some(given) = read.list(name)?.filter(|_| !read.is_none(name)) else {
        return Ok(None);
    };
    for network in &given {
        Network::from_str(network).map_err(|problem| {
            wrong(
                name,
                &format!("has {network:?}, which {problem}; or write none"),
            )
        })?;
    }
    Ok(Some(given.join(",")))
}
