//! A certificate chain and its private key, checked in every way a server can check them before
//! a client does (RFC 5280, RFC 8446 section 4.4.2). Replacing a pair at run time is `reload`.

mod algorithm;
mod block;
mod chain;
mod error;
mod facts;
mod key;
mod named;
mod path;
mod source;
mod token;
mod trial;
mod validity;
mod warning;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

pub use algorithm::LABELS as ALGORITHM_LABELS;
pub(super) use algorithm::{REMEDY as KEY_REMEDY, is_verified_by, label as algorithm_label};
pub use error::{CredentialError, Role};
pub(crate) use facts::hex;
pub use facts::{CertificateFacts, Link};
pub(super) use facts::{address, printable};
pub use hybridge_pem::{Label, PemError, Position};
pub(crate) use path::ShownBy;
pub(crate) use source::{PairDigest, PairText, SIZE_LIMIT, directory_of, volume_root};
pub(super) use source::{read_public, read_trusted};
pub(crate) use token::{TokenKey, check as check_token, is_token};
pub use validity::{rfc3339, unix_seconds};

pub use warning::Warning;

use chain::Chain;

use crate::tls::policy::{Profile, Requirement};

/// A pair that can be served: it parsed, it matches, it is valid, and it completed a handshake.
pub struct Credentials {
    certified_key: Arc<CertifiedKey>,
    facts: CertificateFacts,
    warnings: Vec<Warning>,
    /// Where the key lies, if not in a file.
    token: Option<TokenKey>,
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
        Self::shown_by(ShownBy::Server, cert, key, text, now)
    }

    /// The same for a pair that a client may show.
    pub(crate) fn shown_by(
        by: ShownBy,
        cert: &Path,
        key: &Path,
        text: &PairText,
        now: SystemTime,
    ) -> Result<Self, CredentialError> {
        let provider = Arc::new(rustls_post_quantum::provider());
        let now = unix_seconds(now);
        let chain = Chain::parse(cert, &text.cert, now, by)?;
        let certificates = chain.certificates();
        let algorithm = algorithm::family(&chain.facts.key_algorithm);
        let open = || TokenKey::open(key, algorithm);
        let token = is_token(key).then(open).transpose()?;
        let signing_key = match &token {
            Some(token) => token.signing_key(),
            None => key::load(key, &text.key, &provider)?,
        };
        let of_permissions = warning::of_permissions(key);
        let certified_key = Arc::new(CertifiedKey::new(certificates, signing_key));
        // A token need not show its public key: whether it is the one is seen by the trial.
        if token.is_none()
            && let Err(cause) = certified_key.keys_match()
        {
            return Err(not_a_pair(cert, key, chain.facts.title, cause));
        }
        chain.check_dates(cert, now)?;
        trial::handshake(&certified_key, &provider).map_err(|cause| match cause {
            rustls::Error::InvalidCertificate(rustls::CertificateError::BadSignature)
                if token.is_some() =>
            {
                mismatch(cert, key, chain.facts.title.clone())
            }
            rustls::Error::Other(cause) if token.is_some() => CredentialError::Token {
                cause: cause.to_string(),
            },
            cause => refused(cert, key, cause),
        })?;
        Ok(Self {
            certified_key,
            facts: chain.facts,
            warnings: of_permissions
                .into_iter()
                .chain(warning::of_unused(cert, key, text))
                .chain(chain.warnings)
                .collect(),
            token,
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

    /// Whether key and chain are of the kinds of a profile; `cert` is a name for the message.
    pub fn keep_to(&self, profile: Profile, cert: &Path) -> Result<(), CredentialError> {
        let refused = |found: &str, rule| CredentialError::Profile {
            path: cert.into(),
            found: found.to_owned(),
            profile,
            rule,
        };
        if !profile.admits_key(&self.facts.key_algorithm) {
            return Err(refused(&self.facts.key_algorithm, Requirement::ServerKey));
        }
        for link in &self.facts.chain {
            if !profile.admits_key(&link.key) {
                return Err(refused(&link.key, Requirement::ServerChain));
            }
            if !profile.admits_signature(&link.signature) {
                return Err(refused(&link.signature, Requirement::ServerChain));
            }
        }
        Ok(())
    }

    /// The token of the key, if it lies in one.
    pub(crate) fn token(&self) -> Option<&TokenKey> {
        self.token.as_ref()
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
        rustls::Error::InconsistentKeys(_) => mismatch(cert, key, subject),
        cause => refused(cert, key, cause),
    }
}

fn mismatch(cert: &Path, key: &Path, subject: String) -> CredentialError {
    CredentialError::Mismatch {
        cert: cert.into(),
        key: key.into(),
        subject,
    }
}

fn refused(cert: &Path, key: &Path, cause: rustls::Error) -> CredentialError {
    CredentialError::Refused {
        cert: cert.into(),
        key: key.into(),
        cause,
    }
}
