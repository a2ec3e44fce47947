//! Which CAs are trusted: a CA file, or the system's bundle. A chain is checked once per certificate and name,
//! the signature of every handshake unless told otherwise, so that the generator's own work does not bound the run.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use hybridge_redact::Shown;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, Result};
use crate::regular;

/// Bytes of a file of CAs.
const LARGEST: u64 = 16 << 20;
const SYSTEM_BUNDLES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The trusted CAs, with the certificates already found good.
#[derive(Clone, Debug)]
pub struct Trust {
    verifier: Arc<Remembering>,
    source: Source,
}

/// Where the trusted CAs are from.
#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    /// No CA was named: the system's bundle.
    System(PathBuf),
    /// A text, not a file.
    Text,
}

impl Trust {
    /// Reads a PEM file of CA certificates; without one, the system's bundle.
    pub fn load(ca: Option<&Path>) -> Result<Self> {
        let path = match ca {
            Some(path) => path,
            None => SYSTEM_BUNDLES
                .iter()
                .map(Path::new)
                .find(|path| path.exists())
                .ok_or_else(|| {
                    Error::Usage(
                        "no system certificate bundle found; name the CA with --ca FILE".into(),
                    )
                })?,
        };
        let pem = regular::read(path, LARGEST)?;
        let certificates = match ca {
            Some(_) => ders(&pem),
            // The system's own is used as far as it can be.
            None => Ok(hybridge_pem::readable_certificates(&pem)),
        };
        let source = match ca {
            Some(_) => Source::File(path.to_owned()),
            None => Source::System(path.to_owned()),
        };
        certificates
            .and_then(|certificates| Self::new(certificates, source))
            .map_err(|message| Error::Usage(format!("CA file {}: {message}", Shown::path(path))))
    }

    /// The same, of PEM text in memory.
    pub fn from_pem(pem: &[u8]) -> std::result::Result<Self, String> {
        Self::new(ders(pem)?, Source::Text)
    }

    fn new(
        certificates: Vec<CertificateDer<'static>>,
        source: Source,
    ) -> std::result::Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // A bundle may hold an old root webpki refuses; the others are still good.
        let _unreadable = roots.add_parsable_certificates(certificates);
        if roots.is_empty() {
            return Err("holds no usable CERTIFICATE block".into());
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        let verifier = Arc::new(Remembering {
            inner,
            good: Mutex::default(),
            every: AtomicU64::new(1),
            seen: AtomicU64::new(0),
        });
        Ok(Self { verifier, source })
    }

    /// What a certificate lacks that no trusted CA signed, and the remedy.
    pub fn unsigned(&self) -> String {
        match &self.source {
            Source::File(path) => format!(
                "the certificate is not signed by a CA of {}; name the file of the server's CA with --ca, or `ca` of the \
                 target in a plan",
                Shown::path(path)
            ),
            Source::System(path) => format!(
                "the certificate is not signed by a CA of the system ({}), and no other was named; name the file of the \
                 server's CA with --ca, or `ca` of the target in a plan",
                Shown::path(path)
            ),
            Source::Text => "the certificate is not signed by a trusted CA".to_owned(),
        }
    }

    /// From now on checks the signature of one handshake in so many, the first included: for runs in which the
    /// generator must not be the ceiling. What is measured at the server does not change by it.
    pub fn check_signatures_every(&self, handshakes: u64) {
        self.verifier
            .every
            .store(handshakes.max(1), Ordering::Relaxed);
    }

    pub(super) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::clone(&self.verifier) as Arc<dyn ServerCertVerifier>
    }
}

/// The certificates of a text that somebody named: all of them, or what is wrong.
pub(super) fn ders(pem: &[u8]) -> std::result::Result<Vec<CertificateDer<'static>>, String> {
    let read = hybridge_pem::certificates(pem).map_err(|error| error.to_string())?;
    Ok(read
        .into_iter()
        .map(|certificate| certificate.der)
        .collect())
}

struct Remembering {
    inner: Arc<WebPkiServerVerifier>,
    good: Mutex<HashSet<(Vec<u8>, ServerName<'static>)>>,
    /// One signature in so many is checked.
    every: AtomicU64,
    /// Signatures met so far.
    seen: AtomicU64,
}

impl fmt::Debug for Remembering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remembering")
    }
}

impl ServerCertVerifier for Remembering {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let key = (end_entity.to_vec(), server_name.to_owned());
        if self
            .good
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&key)
        {
            return Ok(ServerCertVerified::assertion());
        }
        let verified =
            self.inner
                .verify_server_cert(end_entity, intermediates, server_name, ocsp, now)?;
        self.good
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let seen = self.seen.fetch_add(1, Ordering::Relaxed);
        if !seen.is_multiple_of(self.every.load(Ordering::Relaxed)) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
