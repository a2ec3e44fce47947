//! A verifier that lets the handshake go on and keeps the verdict, so that the rest can be shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::printable::printable;

/// What was presented, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Presented {
    pub(super) leaf: Option<Vec<u8>>,
    pub(super) problem: Option<String>,
    /// Whether another CA would help.
    is_of_another_ca: bool,
}

impl Presented {
    /// What helps, behind the problem.
    pub(super) fn advice(&self) -> &'static str {
        if self.is_of_another_ca {
            "; --ca FILE names another CA"
        } else {
            ""
        }
    }
}

/// Verifies like any client, and goes on to show the rest. Nothing is sent to a server that is not trusted.
#[derive(Debug)]
pub(super) struct Witness {
    inner: Option<Arc<WebPkiServerVerifier>>,
    schemes: Vec<SignatureScheme>,
    crypto: Arc<CryptoProvider>,
    seen: Mutex<Presented>,
}

impl Witness {
    pub(super) fn new(roots: RootCertStore, crypto: &Arc<CryptoProvider>) -> Result<Self, String> {
        let inner = if roots.is_empty() {
            None
        } else {
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(crypto));
            Some(builder.build().map_err(|error| error.to_string())?)
        };
        Ok(Self {
            inner,
            schemes: crypto.signature_verification_algorithms.supported_schemes(),
            crypto: Arc::clone(crypto),
            seen: Mutex::default(),
        })
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Presented> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.inner.as_ref().map(|inner| {
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        });
        let (problem, is_of_another_ca) = match verified {
            None => (Some("there is no CA to trust".to_owned()), true),
            Some(Ok(_)) => (None, false),
            Some(Err(error)) => (Some(printable(&explained(&error))), of_another_ca(&error)),
        };
        *self.seen() = Presented {
            leaf: Some(end_entity.to_vec()),
            problem,
            is_of_another_ca,
        };
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.crypto.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// One of the same name with another key is another CA.
fn of_another_ca(error: &rustls::Error) -> bool {
    use rustls::CertificateError as E;
    matches!(
        error,
        rustls::Error::InvalidCertificate(
            E::UnknownIssuer
                | E::BadSignature
                | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        )
    )
}

/// rustls' words, and for a usual mistake better ones.
fn explained(error: &rustls::Error) -> String {
    let said = error.to_string();
    if said.contains("CaUsedAsEndEntity") {
        return "the certificate is that of a CA, not of a server".to_owned();
    }
    said
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError as E;

    use super::*;

    #[test]
    fn another_ca_is_advised_where_it_helps() {
        for (cause, helps) in [
            (E::UnknownIssuer, true),
            (E::BadSignature, true),
            (E::NotValidForName, false),
            (E::Expired, false),
        ] {
            let is_of_another_ca = of_another_ca(&rustls::Error::InvalidCertificate(cause));
            let presented = Presented {
                is_of_another_ca,
                ..Presented::default()
            };
            assert_eq!(presented.advice() == "; --ca FILE names another CA", helps);
        }
    }
}
