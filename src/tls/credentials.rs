//! A certificate chain and its private key, checked in every way a server can check them before
//! a client does (RFC 5280, RFC 8446 section 4.4.2). Replacing a pair at run time is `reload`.

mod algorithm;
mod block;
mod chain;
mod error;
mod facts;
mod key;
mod names;
mod source;
mod trial;
mod validity;
mod warning;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

pub use crate::tls::pem::{Label, PemError, Position};
pub use algorithm::LABELS as ALGORITHM_LABELS;
pub(super) use algorithm::label as algorithm_label;
pub use error::{CredentialError, NotPem, Role};
pub use facts::CertificateFacts;
pub(crate) use facts::hex;
pub(super) use facts::{address, name_text, printable};
pub(super) use source::read_public;
pub(crate) use source::{PairDigest, PairText, volume_root};
pub use validity::{rfc3339, unix_seconds};
pub use warning::Warning;

use chain::Chain;

/// A pair that can be served: it parsed, it matches, it is valid, and it completed a handshake.
pub struct Credentials {
    certified_key: Arc<CertifiedKey>,
    facts: CertificateFacts,
    warnings: Vec<Warning>,
    /// Of the two files' content, to tell a new pair from the same one.
    digest: PairDigest,
}

impl Credentials {
    /// Reads a PEM chain and a PEM key, and checks them as of now.
    pub fn load(cert: &Path, key: &Path) -> Result<Self, CredentialError> {
        Self::load_at(cert, key, SystemTime::now())
    }

    /// As [`Self::load`], with validity validated at `now`.
    pub fn load_at(cert: &Path, key: &Path, now: SystemTime) -> Result<Self, CredentialError> {
        Self::from_text(cert, key, &PairText::read(cert, key)?, now)
    }

    /// Checks a pair that has been read; the paths are names for messages.
    pub(crate) fn from_text(
        cert: &Path,
        key: &Path,
        text: &PairText,
        now: SystemTime,
    ) -> Result<Self, CredentialError> {
        let provider = Arc::new(rustls_post_quantum::provider());
        let now = unix_seconds(now);
        let chain = Chain::parse(cert, &text.cert, now)?;
        let signing_key = key::load(key, &text.key, &provider)?;
        let certificates = chain.certificates();
        let certified_key = Arc::new(CertifiedKey::new(certificates, signing_key));
        if let Err(cause) = certified_key.keys_match() {
            return Err(not_a_pair(cert, key, chain.title, cause));
        }
        chain.check_dates(cert, now)?;
        trial::handshake(&certified_key, &provider).map_err(|cause| refused(cert, key, cause))?;
        Ok(Self {
            certified_key,
            facts: chain.facts,
            warnings: warning::of_unused(cert, key, text)
                .chain(chain.warnings)
                .collect(),
            digest: text.digest(),
        })
    }

    /// What rustls serves.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.certified_key)
    }

    /// What the certificate says.
    pub fn facts(&self) -> &CertificateFacts {
        &self.facts
    }

    /// What can be served and still fails with clients, or is not used.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    pub(crate) fn digest(&self) -> &PairDigest {
        &self.digest
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("facts", &self.facts)
            .field("key", &"<private>")
            .finish_non_exhaustive()
    }
}

fn not_a_pair(cert: &Path, key: &Path, subject: String, cause: rustls::Error) -> CredentialError {
    match cause {
        rustls::Error::InconsistentKeys(_) => CredentialError::Mismatch {
            cert: cert.into(),
            key: key.into(),
            subject,
        },
        cause => refused(cert, key, cause),
    }
}

fn refused(cert: &Path, key: &Path, cause: rustls::Error) -> CredentialError {
    CredentialError::Refused {
        cert: cert.into(),
        key: key.into(),
        cause,
    }
}
