//! Whether a server's certificate is certified by the CAs of a generation, or is one that counts for itself.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What chains are verified with.
#[derive(Debug)]
pub(super) struct Chains {
    /// `None` without a CA.
    cas: Option<Arc<WebPkiServerVerifier>>,
    /// Self-signed certificates that are no CA, each with a verifier that has only it.
    pins: Vec<(CertificateDer<'static>, Arc<WebPkiServerVerifier>)>,
    signatures: WebPkiSupportedAlgorithms,
}

impl Chains {
    pub(super) fn new(
        cas: RootCertStore,
        pins: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let verifier = |roots: RootCertStore| {
            let provider = Arc::clone(provider);
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.build().map_err(|cause| cause.to_string())
        };
        let pinned = |der: CertificateDer<'static>| {
            let mut only = RootCertStore::empty();
            let added = only.add(der.clone());
            added.map_err(|cause| cause.to_string())?;
            Ok((der, verifier(only)?))
        };
        Ok(Self {
            pins: pins
                .into_iter()
                .map(pinned)
                .collect::<Result<_, String>>()?,
            cas: (!cas.is_empty()).then(|| verifier(cas)).transpose()?,
            signatures: provider.signature_verification_algorithms,
        })
    }

    /// By the one certificate that it is, or by the CAs. A pin is no trust anchor for another certificate: the
    /// holder of its key could certify any server.
    pub(super) fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut pins = self.pins.iter();
        let (verifier, intermediates) = match pins.find(|(pin, _)| pin == end_entity) {
            Some((_, verifier)) => (Some(verifier), &[][..]),
            None => (self.cas.as_ref(), intermediates),
        };
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let verifier = verifier.ok_or(unknown)?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    pub(super) fn verify_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.signatures)
    }

    pub(super) fn schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_schemes()
    }
}
