//! What of a ClientHello rustls treats otherwise than RFC 8446 says (found with tlsfuzzer).

use rustls::PeerIncompatible;

use super::message::{ClientHello, Cursor, handshake_bytes};
use super::{EXT_KEY_SHARE, EXT_SUPPORTED_GROUPS};
use crate::tls::error::HandshakeError;

const EXT_EARLY_DATA: u16 = 42;
const EXT_SUPPORTED_VERSIONS: u16 = 43;
const TLS13: [u8; 2] = [3, 4];
/// SSL 3.0.
const SSL3: u16 = 0x0300;

/// What a handshake has to know before rustls sees the hello.
#[derive(Default)]
pub(in crate::tls) struct Particulars {
    /// Why it is refused.
    pub refusal: Option<HandshakeError>,
    /// Records that nobody here can decrypt follow.
    pub early_data: bool,
}

/// The particulars of the hello in these records; none for one that is not whole: rustls refuses it.
pub(in crate::tls) fn particulars(records: &[u8]) -> Particulars {
    handshake_bytes(records)
        .and_then(|message| read(&message))
        .unwrap_or_default()
}

fn read(message: &[u8]) -> Option<Particulars> {
    let hello = ClientHello::parse(message)?;
    // RFC 8446 D.5: whatever else it says.
    if hello.legacy_version <= SSL3 {
        return Some(Particulars {
            refusal: Some(HandshakeError::Version),
            early_data: false,
        });
    }
    let (mut is_13, mut groups, mut shares, mut early_data) = (false, false, false, false);
    let mut extensions = hello.extensions;
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.vector16()?;
        match kind {
            EXT_SUPPORTED_VERSIONS => {
                let versions = Cursor(data).vector8()?;
                is_13 = versions.chunks_exact(2).any(|version| version == TLS13);
            }
            EXT_SUPPORTED_GROUPS => groups = true,
            EXT_KEY_SHARE => shares = true,
            EXT_EARLY_DATA => early_data = true,
            _ => {}
        }
    }
    // RFC 8446 §9.2: neither without the other.
    let missing = match (is_13, groups, shares) {
        (true, true, false) => Some(PeerIncompatible::KeyShareExtensionRequired),
        (true, false, true) => Some(PeerIncompatible::NamedGroupsExtensionRequired),
        _ => None,
    };
    Some(Particulars {
        refusal: missing.map(HandshakeError::Incompatible),
        early_data,
    })
}
