//! Private keys that stay in a PKCS#11 token: an HSM, a TPM, a key service behind a module.
//!
//! A key is named by a URI (RFC 7512), its PIN stands in a file. Calls into a module block, for minutes if
//! a device hangs: who calls decides on which thread. What a module lost is opened anew by the next
//! signature: sessions first, then the module itself.

mod error;
mod key;
mod mechanism;
mod module;
mod pin;
mod signer;
mod uri;

pub use error::Error;
pub use key::Key;
pub use mechanism::Kind;
pub use uri::{Uri, UriError};

/// What a URI begins with.
pub const SCHEME: &str = "pkcs11:";

/// Sessions of each key that are kept open for signatures to come; more are closed after use.
pub const SESSIONS: usize = 8;
