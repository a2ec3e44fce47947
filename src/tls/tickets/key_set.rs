//! The keys that tickets are derived from: one seals, all open.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA384, KeyType, Prk, Salt};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::tls::credentials::hex;

/// How long a ticket is good, in seconds; with a client certificate counted from its verification.
pub const LIFETIME: u64 = 12 * 60 * 60;

/// What clocks of replicas may differ by, in seconds.
pub(super) const SKEW: u64 = 5 * 60;

/// Bytes of a key.
pub(super) const KEY_LENGTH: usize = 32;

const SALT: &[u8] = b"hybridge session tickets";
/// Bytes of a key's name in the log and on pages.
const SHORT: usize = 4;

/// A secret that ticket keys are derived from. Wiped when dropped, and never shown.
#[derive(Clone, Eq, PartialEq)]
pub(super) struct Secret(Zeroizing<[u8; KEY_LENGTH]>);

impl Secret {
    pub(super) fn random() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; KEY_LENGTH]);
        rand::fill(&mut bytes[..]).ok()?;
        Some(Self(bytes))
    }

    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Zeroizing::new([0; KEY_LENGTH]);
        if bytes.len() != KEY_LENGTH {
            return None;
        }
        secret.copy_from_slice(bytes);
        Some(Self(secret))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }

    /// Fills `out` with bytes that belong to `purpose` only (RFC 5869).
    pub(super) fn derive(&self, purpose: &[&[u8]], out: &mut [u8]) -> Option<()> {
        let extracted: Prk = Salt::new(HKDF_SHA384, SALT).extract(&self.0[..]);
        let expanded = extracted.expand(purpose, Length(out.len())).ok()?;
        expanded.fill(out).ok()
    }

    /// A name that tells it from others and says nothing of it.
    pub(super) fn id(&self) -> String {
        let mut id = [0; SHORT];
        match self.derive(&[b"id"], &mut id) {
            Some(()) => hex(&id),
            None => String::new(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id())
    }
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The keys in use.
#[derive(Clone, Debug)]
pub(super) struct KeySet {
    /// Seals, and opens.
    pub(super) active: Secret,
    /// Open only.
    pub(super) others: Vec<Secret>,
}

impl KeySet {
    pub(super) fn all(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.active).chain(&self.others)
    }
}
