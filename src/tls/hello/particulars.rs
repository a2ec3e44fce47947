//! What of a ClientHello rustls treats otherwise than RFC 8446 says (found with tlsfuzzer).

use rustls::PeerIncompatible;

use super::message::{Cursor, EXT_KEY_SHARE, EXT_SUPPORTED_GROUPS};
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

/// The extensions that decide about particulars, as far as they were read.
#[derive(Default)]
pub(super) struct Decisive {
    is_13: bool,
    groups: bool,
    shares: bool,
    early_data: bool,
}

impl Decisive {
    pub(super) fn read(&mut self, kind: u16, data: &[u8]) -> Option<()> {
        match kind {
            EXT_SUPPORTED_VERSIONS => {
                let versions = Cursor(data).vector8()?;
                self.is_13 = versions.chunks_exact(2).any(|version| version == TLS13);
            }
            EXT_SUPPORTED_GROUPS => self.groups = true,
            EXT_KEY_SHARE => self.shares = true,
            EXT_EARLY_DATA => self.early_data = true,
            _ => {}
        }
        Some(())
    }

    pub(super) fn particulars(&self) -> Particulars {
        // RFC 8446 §9.2: neither without the other.
        let missing = match (self.is_13, self.groups, self.shares) {
            (true, true, false) => Some(PeerIncompatible::KeyShareExtensionRequired),
            (true, false, true) => Some(PeerIncompatible::NamedGroupsExtensionRequired),
            _ => None,
        };
        Particulars {
            refusal: missing.map(HandshakeError::Incompatible),
            early_data: self.early_data,
        }
    }
}

/// Of a hello that is refused whatever else it says (RFC 8446 D.5).
pub(super) fn of_version(legacy_version: u16) -> Option<Particulars> {
    (legacy_version <= SSL3).then_some(Particulars {
        refusal: Some(HandshakeError::Version),
        early_data: false,
    })
}
