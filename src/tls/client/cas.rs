//! Who certifies the servers: the certificates of a file, or the host's own bundle.

use std::path::PathBuf;
use std::time::SystemTime;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::settings::CaSource;
use crate::tls::cas::{self, CaError, Certifies, ParsedCas};
use crate::tls::credentials::{CredentialError, Role, read_trusted, unix_seconds};

/// Why CAs or a certificate of ours cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientTlsError {
    /// The file of CAs cannot be read.
    #[error("ca: {0}")]
    File(Box<CredentialError>),
    /// They cannot be used.
    #[error("ca: {0}")]
    Ca(#[from] CaError),
    /// The host has no bundle.
    #[error(
        "ca `system`: this host has no bundle of CAs{0}: mount one, set SSL_CERT_FILE to it, or name a file"
    )]
    NoBundle(String),
    /// The pair that we show.
    #[error("cert and key: {0}")]
    Pair(Box<CredentialError>),
    /// rustls refuses it.
    #[error("the TLS settings cannot be used: {0}")]
    Refused(String),
}

impl ClientTlsError {
    /// What of the message is the same whenever the same files are read.
    pub(in crate::tls) fn lasting(&self) -> String {
        match self {
            Self::File(cause) | Self::Pair(cause) => cause.lasting(),
            other => other.to_string(),
        }
    }
}

/// What is read, and checked only if it is something new.
pub(super) enum CaTexts {
    File(PathBuf, Zeroizing<Vec<u8>>),
    Host(Vec<CertificateDer<'static>>),
}

impl CaTexts {
    pub(super) fn read(source: &CaSource) -> Result<Self, ClientTlsError> {
        match source {
            CaSource::File(path) => {
                let text = read_trusted(Role::Certificate, path);
                let text = text.map_err(|cause| ClientTlsError::File(Box::new(cause)))?;
                Ok(Self::File(path.clone(), text))
            }
            CaSource::System => {
                let found = rustls_native_certs::load_native_certs();
                if found.certs.is_empty() {
                    let cause = found.errors.first().map(|cause| format!(" ({cause})"));
                    return Err(ClientTlsError::NoBundle(cause.unwrap_or_default()));
                }
                Ok(Self::Host(found.certs))
            }
        }
    }

    /// Each part that decides, for a digest.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::File(_, text) => vec![text],
            Self::Host(certificates) => certificates.iter().map(|der| &**der).collect(),
        }
    }

    /// The CAs, each one checked. One of the host's own bundle that cannot be used is left out, as other programs
    /// do, and its warnings are nobody's here.
    pub(super) fn parse(
        &self,
        by_uri: bool,
        verifies: WebPkiSupportedAlgorithms,
    ) -> Result<ParsedCas, ClientTlsError> {
        let now = unix_seconds(SystemTime::now());
        let certifies = Certifies::Servers { by_uri };
        let certificates = match self {
            Self::File(path, text) => return Ok(cas::parse(path, text, now, certifies, verifies)?),
            Self::Host(certificates) => certificates,
        };
        let mut parsed = ParsedCas::none(certifies, None);
        let mut left_out = Vec::new();
        for (index, der) in certificates.iter().enumerate() {
            left_out.extend(parsed.add_of_host(index + 1, der.clone(), now).err());
        }
        let first = left_out.first();
        if parsed.count() == 0 {
            let cause = first.map(|cause| format!(" ({cause})"));
            return Err(ClientTlsError::NoBundle(cause.unwrap_or_default()));
        }
        parsed.warnings.clear();
        parsed.warnings.extend(first.map(|first| {
            let count = left_out.len();
            format!("ca `system`: left out of the host's bundle because they cannot be used: {count}; the first: {first}")
        }));
        Ok(parsed)
    }
}
