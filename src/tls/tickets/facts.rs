//! What a ticket says of the client: its names and until when they count, instead of its chain.
//!
//! In a resumed connection of rustls they stand where a certificate would; their first byte is none of
//! a certificate. They come from a ticket that opened, so they are what this listener wrote.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::session::Reader;
use crate::tls::credentials::ALGORITHM_LABELS;
use crate::tls::error::HandshakeError;
use crate::tls::identity::PeerIdentity;

/// The form of what follows. A certificate begins with 0x30. In form 1 the subject was not escaped.
const FORM: u8 = 2;

/// Names beyond this do not travel: such a client makes full handshakes.
const LONGEST: usize = 4096;

/// A client and the end of what is known of it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Facts {
    /// Unix seconds.
    pub(super) expires: u64,
    pub(super) peer: PeerIdentity,
}

impl Facts {
    /// Of certificates that were verified just now: they end with the first that ends.
    pub(super) fn of_chain(chain: &[&[u8]], latest: u64) -> Option<Self> {
        let mut expires = latest;
        for der in chain {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            let end = certificate.validity().not_after.timestamp();
            expires = expires.min(u64::try_from(end).unwrap_or_default());
        }
        Some(Self {
            expires,
            peer: PeerIdentity::of(chain.first()?)?,
        })
    }

    /// Whether a certificate of rustls is none, but what stands in its place.
    pub(super) fn stands_in(certificate: &[u8]) -> bool {
        certificate.first() == Some(&FORM)
    }

    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let Self { expires, peer } = self;
        if peer.uri_left_out {
            // A ticket has no room for it, and such a certificate is odd enough for full handshakes.
            return None;
        }
        let mut text = vec![FORM];
        text.extend_from_slice(&expires.to_be_bytes());
        text.extend_from_slice(&peer.not_after.to_be_bytes());
        put(&mut text, &peer.sha256)?;
        put(&mut text, peer.algorithm)?;
        put(&mut text, &peer.subject)?;
        put_all(&mut text, peer.common_name.iter())?;
        put_all(&mut text, peer.uris.iter())?;
        put_all(&mut text, peer.dns.iter())?;
        put_all(&mut text, peer.ips.iter().map(IpAddr::to_string))?;
        (text.len() <= LONGEST).then_some(text)
    }

    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: text };
        if reader.take(1)? != [FORM] {
            return None;
        }
        let expires = u64::from_be_bytes(reader.take(8)?.try_into().ok()?);
        let not_after = i64::from_be_bytes(reader.take(8)?.try_into().ok()?);
        let sha256 = string(&mut reader)?;
        let algorithm = string(&mut reader)?;
        let subject = string(&mut reader)?;
        let common_name = strings(&mut reader)?.pop();
        let uris = strings(&mut reader)?;
        let dns = strings(&mut reader)?;
        let ips = strings(&mut reader)?.into_iter().map(|ip| ip.parse().ok());
        let peer = PeerIdentity {
            uris,
            uri_left_out: false,
            dns,
            ips: ips.collect::<Option<_>>()?,
            common_name,
            subject,
            sha256,
            algorithm: ALGORITHM_LABELS
                .into_iter()
                .find(|label| *label == algorithm)?,
            not_after,
        };
        reader.rest.is_empty().then_some(Self { expires, peer })
    }
}

/// Who the client of a resumed session is; an error if rustls has something else than we gave it.
pub(in crate::tls) fn resumed_peer(
    chain: Option<&[CertificateDer<'_>]>,
) -> Result<Option<Arc<PeerIdentity>>, HandshakeError> {
    let Some(chain) = chain else {
        return Ok(None);
    };
    match chain {
        [] => Ok(None),
        [facts] => match Facts::decode(facts) {
            Some(facts) => Ok(Some(Arc::new(facts.peer))),
            None => Err(HandshakeError::Internal),
        },
        _ => Err(HandshakeError::Internal),
    }
}

fn put(text: &mut Vec<u8>, part: &str) -> Option<()> {
    let length = u16::try_from(part.len()).ok()?;
    text.extend_from_slice(&length.to_be_bytes());
    text.extend_from_slice(part.as_bytes());
    Some(())
}

fn put_all(
    text: &mut Vec<u8>,
    parts: impl ExactSizeIterator<Item = impl AsRef<str>>,
) -> Option<()> {
    let count = u16::try_from(parts.len()).ok()?;
    text.extend_from_slice(&count.to_be_bytes());
    for part in parts {
        put(text, part.as_ref())?;
    }
    Some(())
}

fn string(reader: &mut Reader<'_>) -> Option<String> {
    String::from_utf8(reader.vector16()?.to_vec()).ok()
}

fn strings(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let count = u16::from_be_bytes(reader.take(2)?.try_into().ok()?);
    (0..count).map(|_| string(reader)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn facts() -> Facts {
        Facts {
            expires: 1_800_000_000,
            peer: PeerIdentity {
                uris: vec!["spiffe://example.org/ns/ai/sa/batch".to_owned()],
                uri_left_out: false,
                dns: vec!["a.example".to_owned(), "b.example".to_owned()],
                ips: vec!["2001:db8::7".parse().unwrap()],
                common_name: Some("batch".to_owned()),
                subject: "CN=batch".to_owned(),
                sha256: "0f".repeat(32),
                algorithm: "ml-dsa-65",
                not_after: 1_800_000_060,
            },
        }
    }

    #[test]
    fn every_fact_comes_back_and_nothing_else_is_read() {
        let facts = facts();
        let text = facts.encode().unwrap();
        assert!(Facts::stands_in(&text));
        assert_eq!(Facts::decode(&text).as_ref(), Some(&facts));
        for length in 0..text.len() {
            assert_eq!(Facts::decode(&text[..length]), None, "{length}");
        }
        assert_eq!(Facts::decode(&[&text[..], &[0]].concat()), None);
        assert!(!Facts::stands_in(b"\x30\x82"));
    }

    #[test]
    fn a_client_whose_uris_are_not_all_known_gets_no_ticket() {
        let mut facts = facts();
        facts.peer.uri_left_out = true;
        assert_eq!(facts.encode(), None);
    }

    #[test]
    fn a_client_of_endless_names_gets_no_ticket() {
        let mut facts = facts();
        facts.peer.dns = vec!["long.example".repeat(16); 32];
        assert_eq!(facts.encode(), None);
        facts.peer.dns = vec!["x".repeat(70_000)];
        assert_eq!(facts.encode(), None);
    }
}
