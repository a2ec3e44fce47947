//! What the verifiers of clients here have in common: they choose who verifies a client's chain, and ask one that
//! is always there for everything else.

use std::fmt::Debug;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// Who verifies a client.
pub(super) trait Choice: Debug + Send + Sync {
    /// Asked for what does not depend on the client.
    fn asked(&self) -> Arc<dyn ClientCertVerifier>;

    /// Verifies a client's chain.
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error>;
}

/// A choice as rustls asks it.
#[derive(Debug)]
pub(super) struct Chosen<C>(pub(super) C);

impl<C: Choice> ClientCertVerifier for Chosen<C> {
    fn offer_client_auth(&self) -> bool {
        self.0.asked().offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.asked().client_auth_mandatory()
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
        self.0.verify(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.asked().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.asked().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.asked().supported_verify_schemes()
    }
}
