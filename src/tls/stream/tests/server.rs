//! A server with a certificate made for it.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::tls::Settings;
use crate::tls::policy::{Mode, TlsPolicy};
use crate::tls::server::TlsServer;

#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for OneCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

pub(super) fn server_and_root() -> (TlsServer, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let root = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let certified = CertifiedKey::new(vec![root.clone()], key);
    let settings = Settings {
        policy: TlsPolicy::new(Mode::HybridRequired, None, None).unwrap(),
        cert: "unused".into(),
        key: "unused".into(),
        certificates: crate::tls::certificates::Settings::default(),
        wait_for_certificate: false,
        handshake_timeout: Duration::from_secs(10),
        max_handshakes: 1,
        handshake_rate_per_source: None,
        tickets: 1,
        ticket_keys: None,
        client_auth: None,
        spiffe: None,
        spiffe_hint: None,
        profile: crate::tls::policy::Profile::Off,
    };
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(OneCertificate(Arc::new(certified)));
    (
        TlsServer::new(&settings, &resolver, None, &[]).unwrap(),
        root,
    )
}
