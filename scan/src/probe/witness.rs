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
        let problem = match &self.inner {
            Some(inner) => inner
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .err()
                .map(|error| printable(&explained(&error))),
            None => Some("there is no CA to trust".to_owned()),
        };
        *self.seen() = Presented {
            leaf: Some(end_entity.to_vec()),
            problem,
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

/// rustls' words, and for a usual mistake better ones.
fn explained(error: &rustls::Error) -> String {
    let said = error.to_string();
    if said.contains("CaUsedAsEndEntity") {
        return "the certificate is that of a CA, not of a server".to_owned();
    }
    said
}
