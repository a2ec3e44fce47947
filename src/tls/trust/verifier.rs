//! Verification by webpki, and behind it the rules: both inside the handshake.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, Error};

use super::choice::Choice;
use super::generation::Trust;
use super::noted::Noted;
use crate::tls::identity::PeerIdentity;
use crate::tls::unverified::of_another_issuer;

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

impl Choice for Verifier {
    fn asked(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current.load().chains)
    }

    fn verify(
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
