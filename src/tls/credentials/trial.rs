//! A TLS handshake in memory, with a pair that is about to be published: the key really signs, and
//! the signature verifies under the certificate. Trust in the issuer is not validated, only possession.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme,
};

/// Flights that a handshake with one HelloRetryRequest needs, with room to spare.
const ROUNDS: usize = 8;

/// Runs one handshake between a server with `key` and a client that checks its signature.
pub(super) fn handshake(
    key: &Arc<CertifiedKey>,
    provider: &Arc<CryptoProvider>,
) -> Result<(), Error> {
    let mut server = server(key, provider)?;
    let mut client = client(provider)?;
    for _ in 0..ROUNDS {
        carry(|wire| client.write_tls(wire), |wire| server.read_tls(wire))?;
        server.process_new_packets()?;
        carry(|wire| server.write_tls(wire), |wire| client.read_tls(wire))?;
        client.process_new_packets()?;
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(());
        }
    }
    Err(Error::HandshakeNotComplete)
}

fn server(
    key: &Arc<CertifiedKey>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConnection, Error> {
    let resolver = SingleCertAndKey::from(Arc::clone(key));
    let config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    ServerConnection::new(Arc::new(config))
}

fn client(provider: &Arc<CryptoProvider>) -> Result<ClientConnection, Error> {
    let verifier = PossessionVerifier(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let name = ServerName::IpAddress(std::net::Ipv6Addr::LOCALHOST.into());
    ClientConnection::new(Arc::new(config), name)
}

/// Moves all that one side has to say to the other.
fn carry(
    write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<usize>,
    mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>,
) -> Result<(), Error> {
    let mut wire = Vec::new();
    write(&mut wire).map_err(|error| Error::General(error.to_string()))?;
    let mut rest = wire.as_slice();
    while !rest.is_empty() {
        read(&mut rest).map_err(|error| Error::General(error.to_string()))?;
    }
    Ok(())
}

/// Checks only the handshake signature. Must never leave this file.
#[derive(Debug)]
struct PossessionVerifier(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for PossessionVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
