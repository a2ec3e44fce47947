//! Clients of several trust domains: each is verified by the CAs of the domain that its SPIFFE ID
//! names, and by no other's. A CA of a federated domain could certify names of this one.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, Error};

use super::choice::Choice;
use crate::tls::identity::{SvidError, svid, trust_domain};

#[derive(Debug)]
pub(super) struct Domains {
    /// What does not depend on the client is asked of it.
    own: Arc<dyn ClientCertVerifier>,
    by_name: BTreeMap<String, Arc<dyn ClientCertVerifier>>,
}

impl Domains {
    /// `federated` beside the own one; a name that is the own one's is left out by the caller.
    pub(super) fn new(
        own: (String, Arc<dyn ClientCertVerifier>),
        federated: BTreeMap<String, Arc<dyn ClientCertVerifier>>,
    ) -> Self {
        let (name, verifier) = own;
        let mut by_name = federated;
        by_name.insert(name, Arc::clone(&verifier));
        Self {
            own: verifier,
            by_name,
        }
    }
}

impl Choice for Domains {
    fn asked(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.own)
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let id = svid(end_entity).map_err(|problem| {
            Error::InvalidCertificate(match problem {
                SvidError::Unreadable => CertificateError::BadEncoding,
                SvidError::Uris | SvidError::Id => CertificateError::ApplicationVerificationFailure,
                SvidError::Ca => CertificateError::InvalidPurpose,
            })
        })?;
        let verifier = self.by_name.get(trust_domain(&id));
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let verifier = verifier.ok_or(unknown)?;
        verifier.verify_client_cert(end_entity, intermediates, now)
    }
}
