//! Why a token does not sign. No message holds a PIN or a key.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use thiserror::Error;

/// Why a token does not sign. Each names what was looked for and what helps.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// The shared object is none.
    #[error(
        "the PKCS#11 module {path} cannot be loaded: {cause}: install it for this system (same processor and C library)"
    )]
    Load { path: String, cause: String },
    /// A module that does not start.
    #[error("the PKCS#11 module {path} does not start: {cause}")]
    Start { path: String, cause: String },
    /// No slot has such a token.
    #[error("{uri}: no such token; the module shows {found}")]
    NoToken { uri: String, found: String },
    /// Several slots have one.
    #[error("{uri}: {count} tokens fit: add serial= or slot-id=")]
    SeveralTokens { uri: String, count: usize },
    /// No private key of this name.
    #[error(
        "{uri}: no such private key in the token; is the PIN that of its user, and the key not extracted?"
    )]
    NoKey { uri: String },
    /// Several keys have it.
    #[error("{uri}: {count} private keys fit: add id= or object=")]
    SeveralKeys { uri: String, count: usize },
    /// The key is of another kind than the certificate's.
    #[error("{uri}: the key is not {wanted}, which the certificate is for")]
    WrongKind { uri: String, wanted: &'static str },
    /// What the token cannot do.
    #[error("{uri}: the token has no mechanism for {kind} signatures ({mechanism})")]
    NoMechanism {
        uri: String,
        kind: &'static str,
        mechanism: &'static str,
    },
    /// A token that needs a login.
    #[error("{uri}: the token asks for a PIN: write it to a file and pin-source=file:/PATH")]
    PinMissing { uri: String },
    /// The file of the PIN.
    #[error("PIN file {path}: {cause}")]
    PinFile { path: String, cause: String },
    /// The token refused it.
    #[error(
        "{uri}: the token refuses the PIN of the file; it is not tried again until the file changes, because a token locks itself after a few"
    )]
    PinRefused { uri: String },
    /// One more wrong PIN would lock it.
    #[error("{uri}: one more wrong PIN locks the token, so it is not tried: log in once by hand")]
    PinLastTry { uri: String },
    /// Anything else that the module says.
    #[error("{uri}: {cause}")]
    Token { uri: String, cause: String },
}

/// Whether a new session, or a module that starts anew, may help.
pub(crate) fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::NoToken { .. } | Error::NoKey { .. } | Error::Token { .. } | Error::Start { .. }
    )
}

/// What the module said, in its own names: `C_Sign` and `CKR_…` can be looked up.
pub(crate) fn cause(error: &Pkcs11Error) -> String {
    match error {
        Pkcs11Error::Pkcs11(code, function) => format!("C_{function:?} says {code:?}"),
        other => other.to_string(),
    }
}

/// Whether the token took the PIN for a wrong one.
pub(crate) fn refuses_pin(error: &Pkcs11Error) -> bool {
    matches!(
        error,
        Pkcs11Error::Pkcs11(
            RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinLocked
                | RvError::PinExpired,
            _
        )
    )
}
