//! What a ClientHello offers, read from its bytes (RFC 8446 §4.1.2).
//!
//! rustls shows the listed groups but not the key shares, and the shares decide whether a
//! HelloRetryRequest is needed. Pure, bounded, and lenient: rustls validates validity, this only looks.

mod ja4;
mod message;
mod particulars;

use rustls::NamedGroup;

pub use self::ja4::{Ja4, ja4};
use self::message::{
    CLIENT_HELLO, ClientHello, Cursor, EXT_KEY_SHARE, EXT_SERVER_NAME, EXT_SUPPORTED_GROUPS,
    handshake_bytes,
};
use self::particulars::{Decisive, Particulars};
use super::policy::Offer;
use super::record::{HANDSHAKE, RECORD_HEADER};

/// Reads the offer out of the records of a first flight; `None` if it is no whole ClientHello.
pub fn inspect(records: &[u8]) -> Option<Offer> {
    read(records).0
}

/// The offer of the hello in these records, and what its handshake has to know of it. One that is not
/// whole has neither: rustls refuses it.
pub(super) fn read(records: &[u8]) -> (Option<Offer>, Particulars) {
    let Some(message) = handshake_bytes(records) else {
        return Default::default();
    };
    let Some(hello) = ClientHello::parse(&message) else {
        return Default::default();
    };
    let (offer, particulars) = match extensions(hello.extensions) {
        Some((offer, decisive)) => (Some(offer), decisive.particulars()),
        None => Default::default(),
    };
    let refused = particulars::of_version(hello.legacy_version);
    (offer, refused.unwrap_or(particulars))
}

fn extensions(mut extensions: Cursor<'_>) -> Option<(Offer, Decisive)> {
    let (mut offer, mut decisive) = (Offer::default(), Decisive::default());
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vector16()?;
        match kind {
            EXT_SUPPORTED_GROUPS => offer.groups = groups(data)?,
            EXT_KEY_SHARE => offer.shares = shares(data)?,
            _ => {}
        }
        decisive.read(kind, data)?;
    }
    Some((offer, decisive))
}

/// A hello that lists no hybrid group, as far as a census counts it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClassicalHello {
    /// What the client is, by the form of its hello.
    pub ja4: Ja4,
    /// What the client calls the server.
    pub server_name: Option<Box<str>>,
}

/// What the census counts of the hello in these records.
pub(super) fn classical(records: &[u8]) -> Option<Box<ClassicalHello>> {
    Some(Box::new(ClassicalHello {
        ja4: ja4(records)?,
        server_name: server_name(records),
    }))
}

/// The server's name in the records of a first flight (RFC 6066 §3); `None` if there is none, or what is
/// there is no host name.
pub(super) fn server_name(records: &[u8]) -> Option<Box<str>> {
    let message = handshake_bytes(records)?;
    let mut extensions = ClientHello::parse(&message)?.extensions;
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vector16()?;
        if kind == EXT_SERVER_NAME {
            let mut names = Cursor(Cursor(data).vector16()?);
            let (0, name) = (names.u8()?, names.vector16()?) else {
                return None;
            };
            let in_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
            let is_host = !name.is_empty() && name.len() < 256 && name.iter().all(in_host);
            let name = std::str::from_utf8(name).ok().filter(|_| is_host);
            return name.map(Box::from);
        }
    }
    None
}

/// How much of a hello has arrived. Told of each record once, so that a hello in thousands of tiny
/// records costs no more than its bytes.
#[derive(Default)]
pub(crate) struct HelloAssembler {
    header: [u8; 4],
    length: usize,
}

impl HelloAssembler {
    /// Whether more records are needed after this one. What is no hello needs none: it is for rustls
    /// to refuse.
    pub(crate) fn wants_more(&mut self, record: &[u8]) -> bool {
        /// Far above any hello, and what rustls takes.
        const MAX_LENGTH: usize = 0xffff;
        let Some((header, fragment)) = record.split_first_chunk::<RECORD_HEADER>() else {
            return false;
        };
        let announced = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if header[0] != HANDSHAKE || fragment.is_empty() || fragment.len() != announced {
            return false;
        }
        for (byte, place) in fragment
            .iter()
            .zip(self.header.iter_mut().skip(self.length))
        {
            *place = *byte;
        }
        self.length += fragment.len();
        let [kind, high, middle, low] = self.header;
        let whole = self.header.len() + u32::from_be_bytes([0, high, middle, low]) as usize;
        kind == CLIENT_HELLO
            && (self.length < self.header.len() || whole <= MAX_LENGTH && self.length < whole)
    }
}

fn groups(data: &[u8]) -> Option<Vec<NamedGroup>> {
    let list = Cursor(data).vector16()?;
    let codes = list.chunks_exact(2);
    Some(
        codes
            .map(|pair| NamedGroup::from(u16::from_be_bytes([pair[0], pair[1]])))
            .collect(),
    )
}

fn shares(data: &[u8]) -> Option<Vec<NamedGroup>> {
    let mut entries = Cursor(Cursor(data).vector16()?);
    let mut found = Vec::new();
    while !entries.is_empty() {
        found.push(NamedGroup::from(entries.u16()?));
        entries.vector16()?;
    }
    Some(found)
}

/// SHA-256 of "HelloRetryRequest": the random that marks one (RFC 8446 §4.1.3).
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// Whether bytes about to be sent are a HelloRetryRequest.
pub(crate) fn is_retry_request(sent: &[u8]) -> bool {
    // Record header, handshake header, legacy_version, random.
    const RANDOM: usize = RECORD_HEADER + 4 + 2;
    is_server_hello(sent) && sent.get(RANDOM..RANDOM + 32) == Some(&RETRY_RANDOM)
}

/// Whether bytes about to be sent begin with a ServerHello, of which a HelloRetryRequest is a kind.
pub(crate) fn is_server_hello(sent: &[u8]) -> bool {
    sent.first() == Some(&HANDSHAKE) && sent.get(RECORD_HEADER) == Some(&2)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::*;
    use crate::tls::policy::{Group, VERSIONS};

    fn client_hello() -> Vec<u8> {
        let provider = Arc::new(rustls_post_quantum::provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(VERSIONS)
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    fn codes(groups: &[Group]) -> Vec<NamedGroup> {
        groups.iter().map(|group| group.code_point()).collect()
    }

    #[test]
    fn groups_and_shares_are_read() {
        let offer = inspect(&client_hello()).unwrap();
        let listed = [
            Group::X25519MlKem768,
            Group::X25519,
            Group::Secp256r1,
            Group::Secp384r1,
        ];
        assert_eq!(offer.groups, codes(&listed));
        assert_eq!(offer.shares, codes(&[Group::X25519MlKem768, Group::X25519]));
    }

    #[test]
    fn a_hello_in_many_records_reads_the_same() {
        let whole = client_hello();
        let mut split = Vec::new();
        for fragment in whole[RECORD_HEADER..].chunks(7) {
            split.extend_from_slice(&whole[..3]);
            split.extend_from_slice(&(fragment.len() as u16).to_be_bytes());
            split.extend_from_slice(fragment);
        }
        assert_eq!(inspect(&split), inspect(&whole));
    }

    #[test]
    fn a_hello_is_partial_until_its_last_byte_and_nothing_else_is() {
        let whole = client_hello();
        let message = &whole[RECORD_HEADER..];
        for step in [1, 3, 500] {
            let mut collected = HelloAssembler::default();
            let (mut arrived, fragments) = (0, message.chunks(step));
            for fragment in fragments {
                arrived += fragment.len();
                let length = (fragment.len() as u16).to_be_bytes();
                let record = [&[22, 3, 1], &length[..], fragment].concat();
                let more = arrived < message.len();
                assert_eq!(collected.wants_more(&record), more, "{step}: {arrived}");
            }
        }
        let wants_more = |record: &[u8]| HelloAssembler::default().wants_more(record);
        assert!(!wants_more(&whole));
        assert!(!wants_more(b"GET / HTTP/1.1"));
        assert!(!wants_more(&[22, 3, 1, 0, 1, 2]), "another message");
        assert!(!wants_more(&[22, 3, 1, 0, 4, 1, 1, 0, 0]), "too long");
        assert!(!wants_more(&[21, 3, 1, 0, 2, 1, 0]), "an alert");
        assert!(!wants_more(&[22, 3, 1, 0, 0]), "an empty fragment");
    }

    #[test]
    fn every_truncation_is_refused_without_a_panic() {
        let whole = client_hello();
        for end in 0..whole.len() {
            assert_eq!(inspect(&whole[..end]), None);
        }
    }
}
