//! One handshake in which every chain is taken and none is trusted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use crate::dial::Dial;
use crate::session::Session;
use crate::target::Target;

/// How long tickets are waited for after a handshake.
const TICKETS: Duration = Duration::from_millis(200);
/// Certificates of a chain that are reported.
pub(super) const MAX_CHAIN: usize = 16;

/// What one handshake showed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The leaf first.
    pub(super) ders: Vec<Vec<u8>>,
    /// How many there were.
    pub(super) sent: usize,
    pub(super) scheme: Option<SignatureScheme>,
    /// It signed with a scheme that was not offered.
    pub(super) other_scheme: bool,
    /// Why the handshake was not complete.
    pub(super) ended: Option<String>,
    pub(super) suite: Option<String>,
    pub(super) asks_client: bool,
    pub(super) tickets: u32,
}

/// Why nothing was presented.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) why: String,
    /// An alert of the server, and not a path that swallows or a server that says nothing.
    pub(super) alerted: bool,
}

impl<T: ToString> From<T> for Failed {
    fn from(why: T) -> Self {
        Self {
            why: why.to_string(),
            alerted: false,
        }
    }
}

/// Makes it; nothing is sent on the connection.
pub(super) fn handshake(
    target: &Target,
    dial: Dial,
    schemes: &[(SignatureScheme, &str)],
    (provider, only_tls12): (&Arc<CryptoProvider>, bool),
) -> Result<Seen, Failed> {
    let witness = Arc::new(Witness {
        seen: Mutex::default(),
        schemes: schemes.iter().map(|(scheme, _)| *scheme).collect(),
    });
    let versions: &[_] = if only_tls12 {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13]
    };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as _)
        .with_client_cert_resolver(Arc::clone(&witness) as _);
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(target.host.clone())?;
    let tls = ClientConnection::new(Arc::new(config), name)?;
    let stream = dial.connect().ok_or("the connection fails")?;
    let mut session = Session::new(tls, stream);
    let ended = session.handshake(dial.timeout);
    if ended.is_ok() {
        // None is an answer too.
        let _ = session.until(TICKETS.min(dial.timeout), "no ticket", |session| {
            session.tls.tls13_tickets_received() > 0
        });
    }
    session.close();
    let (tls, alerted) = (session.tls, session.alerted);
    let mut seen = std::mem::take(&mut *witness.lock());
    if seen.ders.is_empty() {
        let why = ended.err();
        return Err(Failed {
            why: why.unwrap_or_else(|| "the server sent none".to_owned()),
            alerted,
        });
    }
    seen.ended = ended.err();
    seen.suite = tls
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str().map(str::to_owned));
    seen.tickets = tls.tls13_tickets_received();
    Ok(seen)
}

/// Keeps what the server presents and takes all of it.
#[derive(Debug)]
struct Witness {
    seen: Mutex<Seen>,
    schemes: Vec<SignatureScheme>,
}

impl Witness {
    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signed(&self, scheme: SignatureScheme) -> Result<HandshakeSignatureValid, Error> {
        // rustls leaves it to the verifier whether the scheme was offered.
        if !self.schemes.contains(&scheme) {
            self.lock().other_scheme = true;
            return Err(Error::General("a scheme that was not offered".to_owned()));
        }
        self.lock().scheme = Some(scheme);
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let all = std::iter::once(end_entity).chain(intermediates);
        let mut seen = self.lock();
        seen.sent = 1 + intermediates.len();
        seen.ders = all.take(MAX_CHAIN).map(|der| der.to_vec()).collect();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(dss.scheme)
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed(dss.scheme)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

impl ResolvesClientCert for Witness {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        _sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.lock().asks_client = true;
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}
