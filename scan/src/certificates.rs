//! What a server presents, to clients of three kinds: those that verify every signature, classical ones
//! only, or ML-DSA only. Nothing is verified here: a scan looks at private CAs too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use serde::Serialize;

use crate::certificate::{Certificate, describe};
use crate::dial::Dial;
use crate::groups::{self, Kind, Known};
use crate::session::Session;
use crate::target::Target;

/// How long tickets are waited for after a handshake.
const TICKETS: Duration = Duration::from_millis(200);
/// Certificates of a chain that are reported.
const MAX_CHAIN: usize = 16;

/// What the server presented.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Certificates {
    /// To a client that takes every scheme: the leaf first.
    pub chain: Vec<Certificate>,
    /// The scheme that the server signed with.
    pub scheme: Option<String>,
    /// The leaf for clients with classical schemes only, if that is another one.
    pub classical: Option<Certificate>,
    /// The leaf for clients with ML-DSA only: the server is ready for those.
    pub ml_dsa: Option<Certificate>,
    /// Cipher suite of the first handshake.
    pub suite: Option<String>,
    /// The server asked for a client certificate.
    pub asks_client: bool,
    /// Session tickets after the first handshake.
    pub tickets: u32,
}

/// Three handshakes, with those of the known groups that the server accepts; it accepts none of TLS 1.3 if
/// it speaks TLS 1.2 only.
pub fn collect(
    target: &Target,
    dial: Dial,
    accepted: &[u16],
    known: &[Known],
    notes: &mut Vec<String>,
) -> Certificates {
    let only_tls12 = accepted.is_empty();
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    if !only_tls12 {
        let groups = known.iter().map(|(_, group)| *group);
        let usable = groups.filter(|group| accepted.contains(&u16::from(group.name())));
        provider.kx_groups = usable.collect();
        // The smallest hello first: a middlebox in front of the server may drop larger ones.
        let is_large = |number: u16| groups::kind(number) != Kind::Classical;
        provider
            .kx_groups
            .sort_by_key(|group| is_large(group.name().into()));
        if provider.kx_groups.is_empty() {
            notes.push("no certificate was seen: no handshake can be made here with the groups that the server accepts".to_owned());
            return Certificates::default();
        }
    }
    let provider = Arc::new(provider);
    let handshake =
        |schemes: &[SignatureScheme]| handshake(target, dial, schemes, (&provider, only_tls12));
    let first = match handshake(&[CLASSICAL, &ML_DSA].concat()) {
        Ok(seen) => seen,
        Err(why) => {
            notes.push(format!("no certificate was seen: {why}"));
            return Certificates::default();
        }
    };
    let mut found = Certificates {
        chain: first.chain(),
        scheme: first.scheme.map(|scheme| scheme_name(scheme).to_owned()),
        suite: first.suite,
        asks_client: first.asks_client,
        tickets: first.tickets,
        ..Certificates::default()
    };
    if only_tls12 {
        return found;
    }
    let leaf = |schemes: &[SignatureScheme]| {
        let seen = handshake(schemes).ok()?;
        seen.scheme?;
        seen.chain().into_iter().next()
    };
    let classical = leaf(CLASSICAL);
    found.ml_dsa = leaf(&ML_DSA);
    found.classical = classical.filter(|leaf| Some(leaf) != found.chain.first());
    found
}

const ML_DSA: [SignatureScheme; 3] = [
    SignatureScheme::ML_DSA_44,
    SignatureScheme::ML_DSA_65,
    SignatureScheme::ML_DSA_87,
];
const CLASSICAL: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED25519,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA512,
];

fn scheme_name(scheme: SignatureScheme) -> &'static str {
    match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => "ecdsa_secp256r1_sha256",
        SignatureScheme::ECDSA_NISTP384_SHA384 => "ecdsa_secp384r1_sha384",
        SignatureScheme::ECDSA_NISTP521_SHA512 => "ecdsa_secp521r1_sha512",
        SignatureScheme::ED25519 => "ed25519",
        SignatureScheme::RSA_PSS_SHA256 => "rsa_pss_rsae_sha256",
        SignatureScheme::RSA_PSS_SHA384 => "rsa_pss_rsae_sha384",
        SignatureScheme::RSA_PSS_SHA512 => "rsa_pss_rsae_sha512",
        SignatureScheme::RSA_PKCS1_SHA256 => "rsa_pkcs1_sha256",
        SignatureScheme::RSA_PKCS1_SHA384 => "rsa_pkcs1_sha384",
        SignatureScheme::RSA_PKCS1_SHA512 => "rsa_pkcs1_sha512",
        SignatureScheme::ML_DSA_44 => "mldsa44",
        SignatureScheme::ML_DSA_65 => "mldsa65",
        SignatureScheme::ML_DSA_87 => "mldsa87",
        _ => "other",
    }
}

/// What one handshake showed.
#[derive(Debug, Default)]
struct Seen {
    ders: Vec<Vec<u8>>,
    scheme: Option<SignatureScheme>,
    suite: Option<String>,
    asks_client: bool,
    tickets: u32,
}

impl Seen {
    fn chain(&self) -> Vec<Certificate> {
        self.ders.iter().filter_map(|der| describe(der)).collect()
    }
}

/// A handshake in which every chain is taken and none is trusted: nothing is sent on the connection.
fn handshake(
    target: &Target,
    dial: Dial,
    schemes: &[SignatureScheme],
    (provider, only_tls12): (&Arc<CryptoProvider>, bool),
) -> Result<Seen, String> {
    let witness = Arc::new(Witness {
        seen: Mutex::default(),
        schemes: schemes.to_vec(),
    });
    let versions: &[_] = if only_tls12 {
        &[&rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13]
    };
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as _)
        .with_client_cert_resolver(Arc::clone(&witness) as _);
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
    let tls = ClientConnection::new(Arc::new(config), name).map_err(|e| e.to_string())?;
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
    let tls = session.tls;
    let mut seen = std::mem::take(&mut *witness.lock());
    if seen.ders.is_empty() {
        return Err(ended
            .err()
            .unwrap_or_else(|| "the server sent none".to_owned()));
    }
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
        self.lock().ders = all.take(MAX_CHAIN).map(|der| der.to_vec()).collect();
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
