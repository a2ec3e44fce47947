//! Verification by webpki, and behind it the rules: both inside the handshake.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::generation::Trust;
use super::noted::Noted;
use crate::tls::identity::PeerIdentity;

/// Chain first, then rules, both of one generation. What does not depend on the file is asked of
/// whichever is in use.
#[derive(Debug)]
pub(super) struct Verifier {
    current: Arc<ArcSwap<Trust>>,
}

impl Verifier {
    pub(super) fn new(current: Arc<ArcSwap<Trust>>) -> Self {
        Self { current }
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.current.load().chains.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.current.load().chains.client_auth_mandatory()
    }

    /// None: Go and others withhold their certificate if no CA named issued it, even where an
    /// intermediate of theirs leads to one (RFC 8446 §4.2.4 lets a server name none).
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let trust = self.current.load_full();
        let verified = trust
            .chains
            .verify_client_cert(end_entity, intermediates, now)
            .map_err(of_another_issuer)
            .map_err(of_unusable_list)?;
        let peer = PeerIdentity::of(end_entity)
            .map(Arc::new)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        Noted::set_peer(Arc::clone(&peer));
        Noted::set_verified_by(&trust);
        if trust.rules.allow(&peer) {
            Ok(verified)
        } else {
            let denied = CertificateError::ApplicationVerificationFailure;
            Err(Error::InvalidCertificate(denied))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current
            .load()
            .chains
            .verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current
            .load()
            .chains
            .verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().chains.supported_verify_schemes()
    }
}

/// A list whose signature or form is bad says nothing, so the status is unknown: alert 48, as without a list.
fn of_unusable_list(error: Error) -> Error {
    match error {
        Error::InvalidCertRevocationList(_) => {
            Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)
        }
        error => error,
    }
}

/// A CA of the same name with another key, or a key of another algorithm, is another CA: alert 48 says so, where
/// decrypt_error would speak of the handshake.
fn of_another_issuer(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(
            CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. },
        ) => Error::InvalidCertificate(CertificateError::UnknownIssuer),
        error => error,
    }
}
