//! Why a request's signatures are refused, from a closed set.

use strum::{IntoStaticStr, VariantNames};

/// Why a request's signatures are refused; the word is the metric label.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Refusal {
    /// There are none.
    Absent,
    /// They cannot be read, or lack `created`, `keyid` or `nonce`.
    Malformed,
    /// A key that the set does not have.
    UnknownKey,
    /// `alg` is not that of the key.
    WrongAlgorithm,
    /// Too old, of the future, or expired.
    Stale,
    /// Something that must be signed is not.
    NotCovered,
    /// The body is not the one that was signed.
    Digest,
    /// The signature by Ed25519 or ECDSA does not verify.
    ClassicalInvalid,
    /// The signature by ML-DSA does not verify.
    PqInvalid,
    /// One is missing, or they do not belong together.
    OneOfTwo,
    /// It was seen before.
    Replayed,
    /// There is no room to remember it for so many seconds.
    TableFull(u64),
}

impl Refusal {
    /// The HTTP status: where there is no room, the client did nothing wrong.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::TableFull(_) => 503,
            _ => 401,
        }
    }

    /// The metric label and log field.
    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}
