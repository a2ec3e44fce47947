//! Signatures of requests and responses (RFC 9421) with digests of their bodies (RFC 9530), verified by two algorithms.
//!
//! `message` is what a request says, `input` its signatures, `base` the bytes they sign, `keys` whose they
//! are, `replay` which were seen, `digest` the body; `verify` decides. `response` signs what is
//! answered, by the keys of `signer`. No input or output besides the keys' files.

mod base;
mod clock;
mod digest;
mod input;
mod keys;
mod message;
mod replay;
mod response;
mod settings;
mod signer;
mod verdict;
mod verify;

pub(crate) use self::digest::BodyDigest;
pub(crate) use self::input::is_name as is_component;
pub use self::keys::KeyError;
pub(crate) use self::message::Message;
pub use self::replay::ReplayTables;
pub use self::response::ResponseSigner;
pub(crate) use self::response::{ContentDigest, Draft, Receipt, SIGNATURE_FIELDS};
pub use self::settings::{ResponseSettings, Settings, SignatureKind, SignatureMode};
pub(crate) use self::signer::MAX_BUNDLE;
pub use self::signer::SignerError;
pub(crate) use self::verdict::Refusal;
pub use self::verify::Verifier;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub use self::verify::fuzzing;

/// The fields that tell the app of a request's signatures; only the proxy may set them.
pub(crate) const PRINCIPAL: &str = "x-signature-principal";
pub(crate) const RESULT: &str = "x-signature-result";
