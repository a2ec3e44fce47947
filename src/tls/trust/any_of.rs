//! The CAs of one trust domain that have revocation lists of their own: a client is in if one of them
//! certifies it. The verifier of the library looks for a list by the issuer's name and takes the first, so CAs
//! of one name cannot share a verifier.

use std::sync::Arc;

use rustls::Error;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};

use super::choice::{Choice, Chosen};
use super::error::TrustError;
use super::settings::Settings;
use crate::tls::cas::{CaError, Certifies};
use crate::tls::unverified::is_of_another_issuer;

#[derive(Debug)]
pub(super) struct AnyOf {
    /// What does not depend on the client is asked of it.
    first: Arc<dyn ClientCertVerifier>,
    others: Vec<Arc<dyn ClientCertVerifier>>,
}

impl AnyOf {
    /// One verifier stays what it is; none at all are a `client-ca` without CAs.
    pub(super) fn over(
        settings: &Settings,
        verifiers: Vec<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
        let mut others = verifiers.into_iter();
        let first = others.next().ok_or_else(|| CaError::Empty {
            path: settings.ca.as_path().into(),
            certifies: Certifies::Clients(settings.profile),
        });
        let first = first.map_err(TrustError::Ca)?;
        if others.len() == 0 {
            return Ok(first);
        }
        let others = others.collect();
        Ok(Arc::new(Chosen(Self { first, others })))
    }
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
