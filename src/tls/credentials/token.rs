//! A private key in a PKCS#11 token, where this build can load modules (feature `pkcs11`). Elsewhere a URI of
//! one is an error that says which build can.

use std::path::Path;

/// What a key in a token begins with where a file would be named (RFC 7512).
const SCHEME: &str = "pkcs11:";

/// Whether this is no file. A scheme has no case (RFC 3986 §3.1).
pub(crate) fn is_token(key: &Path) -> bool {
    let text = key.as_os_str().as_encoded_bytes();
    let scheme = text.get(..SCHEME.len());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME.as_bytes()))
}

#[cfg(feature = "pkcs11")]
pub(crate) use with_modules::{TokenKey, check, pin_file};
#[cfg(not(feature = "pkcs11"))]
pub(crate) use without_modules::{TokenKey, check, pin_file};

#[cfg(feature = "pkcs11")]
mod with_modules {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use hybridge_pkcs11::{Key, Kind, Uri};
    use rustls::sign::SigningKey;

    use crate::tls::credentials::error::CredentialError;

    /// A key in a token.
    pub(crate) struct TokenKey(Arc<Key>);

    /// What is wrong with a URI.
    pub(crate) fn check(text: &str) -> Result<(), String> {
        text.parse::<Uri>()
            .map(drop)
            .map_err(|problem| problem.to_string())
    }

    /// The file of the PIN, if the URI names one.
    pub(crate) fn pin_file(key: &Path) -> Option<PathBuf> {
        let uri: Uri = key.to_str()?.parse().ok()?;
        uri.pin_file().map(Path::to_owned)
    }

    impl TokenKey {
        /// Finds the key that signs for a certificate of this algorithm.
        pub(crate) fn open(key: &Path, algorithm: &str) -> Result<Self, CredentialError> {
            let text = key.to_str().unwrap_or_default();
            let uri: Uri = text
                .parse()
                .map_err(|problem| CredentialError::token(&problem))?;
            let kind = Kind::by_name(algorithm).ok_or_else(|| {
                CredentialError::token(&format!(
                    "no token signs for a certificate of {algorithm} here"
                ))
            })?;
            let key = Key::open(&uri, kind).map_err(|error| CredentialError::token(&error))?;
            Ok(Self(key))
        }

        pub(crate) fn signing_key(&self) -> Arc<dyn SigningKey> {
            self.0.signing_key()
        }

        /// Why the last signature failed, if it did.
        pub(crate) fn failure(&self) -> Option<String> {
            self.0.failure().map(|error| error.to_string())
        }

        /// Whether it signs again, after a failure.
        pub(crate) fn try_again(&self) -> bool {
            self.0.failure().is_some() && self.0.try_again().is_ok()
        }
    }
}

#[cfg(not(feature = "pkcs11"))]
mod without_modules {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use rustls::sign::SigningKey;

    use crate::tls::credentials::error::CredentialError;

    /// What to do about a URI that this build cannot follow.
    const REFUSAL: &str = "this build of hybridge loads no PKCS#11 modules, as the static binary never does: use the image hybridge-pkcs11, or build with `cargo build --release --features pkcs11`";

    /// There is none.
    pub(crate) enum TokenKey {}

    pub(crate) fn check(_text: &str) -> Result<(), String> {
        Err(REFUSAL.to_owned())
    }

    pub(crate) fn pin_file(_key: &Path) -> Option<PathBuf> {
        None
    }

    impl TokenKey {
        pub(crate) fn open(_key: &Path, _algorithm: &str) -> Result<Self, CredentialError> {
            Err(CredentialError::token(&REFUSAL))
        }

        pub(crate) fn signing_key(&self) -> Arc<dyn SigningKey> {
            match *self {}
        }

        pub(crate) fn failure(&self) -> Option<String> {
            match *self {}
        }

        pub(crate) fn try_again(&self) -> bool {
            match *self {}
        }
    }
}
