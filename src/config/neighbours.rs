//! What one listener accepts from the proxies in front, and what it tells the upstream of a client.

use std::str::FromStr;

use strum::VariantNames;

use super::alias;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use crate::proxy::{IdentityField, IdentityFields, Protocol, RequestFields, UpstreamProxyProtocol};
use crate::proxy_protocol::Networks;
use crate::suggest::suggest_or_alias;
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

/// What the app is told of a client's certificate.
pub(super) fn identity(layer: &Layer) -> Result<IdentityFields, Error> {
    let key = Key::Identity;
    let fields = IdentityFields(words(layer, key)?);
    let has = |field| fields.0.contains(&field);
    if has(IdentityField::ClientCertChain) && !has(IdentityField::ClientCert) {
        return Err(Error::Refused {
            at: layer.place(key),
            problem: "client-cert-chain holds the certificates above the client's: add client-cert (RFC 9440)",
        });
    }
    let mode: ClientAuth = layer.choice(Key::ClientAuth)?;
    if mode == ClientAuth::Off && layer.explicit(key).is_some() {
        return Err(Error::Excluded {
            at: layer.place(key),
            other: "client-auth `off`".to_owned(),
            remedy: "no client is asked for a certificate; write client-auth = \"required\", or remove it",
        });
    }
    Ok(fields)
}

/// What the access log says of each request.
pub(super) fn access_log(layer: &Layer) -> Result<RequestFields, Error> {
    words(layer, Key::AccessLog).map(RequestFields)
}

/// The words of a list, each once; of the word `none`, none.
fn words<T>(layer: &Layer, key: Key) -> Result<Vec<T>, Error>
where
    T: FromStr + PartialEq + VariantNames,
{
    let written = layer.list(key)?;
    if written == ["none"] {
        return Ok(Vec::new());
    }
    let mut words = Vec::new();
    for word in &written {
        let parsed = word.parse().map_err(|_| Error::WrongType {
            at: layer.place(key),
            written: word.as_str().into(),
            value_type: key.value_type(),
            nearest: suggest_or_alias(word, T::VARIANTS.iter().copied(), alias::of_values(key)),
        })?;
        if !words.contains(&parsed) {
            words.push(parsed);
        }
    }
    Ok(words)
}

/// Tickets after each handshake. They hold the facts of a certificate, not the certificate.
pub(super) fn tickets(layer: &Layer) -> Result<usize, Error> {
    let tickets = layer.count(Key::Tickets)?;
    if !identity(layer)?.needs_certificate() {
        return Ok(tickets);
    }
    match layer.explicit(Key::Tickets) {
        Some(_) if tickets > 0 => Err(Error::Excluded {
            at: layer.place(Key::Tickets),
            other: "identity `client-cert`".to_owned(),
            remedy: "a resumed session has no certificate to send; write tickets = 0, or remove it",
        }),
        _ => Ok(0),
    }
}
