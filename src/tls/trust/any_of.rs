//! The CAs of one trust domain that have revocation lists of their own: a client is in if one of them
//! certifies it. The verifier of the library looks for a list by the issuer's name and takes the first, so CAs
//! of one name cannot share a verifier.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, Error};

use super::choice::{Choice, Chosen};

#[derive(Debug)]
pub(super) struct AnyOf {
    /// What does not depend on the client is asked of it.
    first: Arc<dyn ClientCertVerifier>,
    others: Vec<Arc<dyn ClientCertVerifier>>,
}

impl AnyOf {
    /// One verifier stays what it is.
    pub(super) fn over(
        first: Arc<dyn ClientCertVerifier>,
        others: Vec<Arc<dyn ClientCertVerifier>>,
    ) -> Arc<dyn ClientCertVerifier> {
        if others.is_empty() {
            return first;
        }
        Arc::new(Chosen(Self { first, others }))
    }
}

/// Whether it says no more than that another CA certified the client.
fn is_of_another_issuer(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        )
    )
}

impl Choice for AnyOf {
    fn asked(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.first)
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verify = |by: &Arc<dyn ClientCertVerifier>| {
            by.verify_client_cert(end_entity, intermediates, now)
        };
        let mut verified = verify(&self.first);
        for other in &self.others {
            match &verified {
                Ok(_) => break,
                Err(error) => {
                    let telling = !is_of_another_issuer(error);
                    match verify(other) {
                        Err(_) if telling => {}
                        next => verified = next,
                    }
                }
            }
        }
        verified
    }
}
