//! Whether a server is the one that is meant: by its name, or by the URI in its certificate.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::chains::Chains;
use super::verified::Verified;
use crate::tls::identity::{PeerIdentity, Rules};
use crate::tls::unverified::{first_names, of_another_issuer};

/// Verification by webpki, and instead of its look at the name the rules, if there are any; of one generation.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    chains: Arc<Chains>,
    peer_ids: Arc<Rules>,
    verified: Arc<Verified>,
}

/// No rule matches the server's identity.
#[derive(Debug, thiserror::Error)]
#[error("the certificate is of {presented}, and no rule of peer-ids ({expected}) matches")]
pub(super) struct OtherIdentity {
    presented: String,
    expected: String,
}

impl Verifier {
    pub(super) fn new(chains: Chains, peer_ids: Rules) -> Self {
        Self {
            chains: Arc::new(chains),
            peer_ids: Arc::new(peer_ids),
            verified: Arc::default(),
        }
    }

    /// What it has verified.
    pub(super) fn verified(&self) -> &Arc<Verified> {
        &self.verified
    }

    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified =
            self.chains
                .verify(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // webpki checks the name last: everything else is as it should be.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.peer_ids.is_empty() => self.identified(end_entity),
            verified => verified.map_err(of_another_issuer),
        }
    }

    fn identified(&self, leaf: &CertificateDer<'_>) -> Result<ServerCertVerified, Error> {
        let bad = Error::InvalidCertificate(CertificateError::BadEncoding);
        let identity = PeerIdentity::of(leaf).ok_or(bad)?;
        if self.peer_ids.allow(&identity) {
            return Ok(ServerCertVerified::assertion());
        }
        let other = OtherIdentity {
            presented: match identity.uris.as_slice() {
                [] => format!("{identity}, without a URI"),
                uris => first_names(uris, " and ", String::clone),
            },
            expected: self.peer_ids.uris().collect::<Vec<_>>().join(", "),
        };
        Err(Error::InvalidCertificate(CertificateError::Other(
            OtherError(Arc::new(other)),
        )))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let verified = &self.verified;
        if verified.holds(end_entity, intermediates, server_name, seconds) {
            return Ok(ServerCertVerified::assertion());
        }
        let verdict =
            self.verify_chain(end_entity, intermediates, server_name, ocsp_response, now)?;
        verified.add(end_entity, intermediates, server_name, seconds);
        Ok(verdict)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // Only TLS 1.3 is offered.
        Err(Error::General("a signature of TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.schemes()
    }
}

impl OtherIdentity {
    /// The text of an error of this kind.
    pub(super) fn of(cause: &OtherError) -> Option<String> {
        let other: Option<&Self> = cause.0.downcast_ref();
        other.map(ToString::to_string)
    }
}
