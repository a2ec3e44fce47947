//! What `hybridge certs` tells its user, and the check that what it wrote can be served.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::tls::credentials::{CertificateFacts, Credentials, PairText, rfc3339};

use super::client::Client;
use super::error::CertgenError;
use super::files::{CERT, KEY};
use super::issue::Leaf;
use super::shell::shell_word;

/// What was written, and where. Its text is what the command prints.
#[derive(Clone, Debug)]
pub struct Report {
    /// The CA's certificate, for clients.
    pub ca: PathBuf,
    /// The certificate of the server or client.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Files written, in order.
    pub written: Vec<PathBuf>,
    /// Of the certificate.
    pub facts: CertificateFacts,
    /// Whose certificate it is, if not the server's.
    pub client: Option<Client>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.written {
            writeln!(f, "wrote {}", path.display())?;
        }
        let facts = &self.facts;
        match &self.client {
            Some(client) => writeln!(f, "client      {client}")?,
            None => writeln!(f, "names       {}", facts.names.join(", "))?,
        }
        writeln!(f, "algorithm   {}", facts.key_algorithm)?;
        writeln!(f, "valid until {}", rfc3339(facts.not_after))?;
        let (cert, key) = (shell_word(&self.cert), shell_word(&self.key));
        let ca = shell_word(&self.ca);
        if self.client.is_some() {
            writeln!(
                f,
                "admit with  hybridge run --client-auth required --client-ca {ca} …"
            )?;
            return write!(
                f,
                "call with   curl --cert {cert} --key {key} --cacert {ca} …"
            );
        }
        writeln!(f, "serve with  hybridge run --cert {cert} --key {key} …")?;
        write!(f, "trust with  curl --cacert {ca} …")
    }
}

/// Puts a new pair through the checks it will meet when it is loaded, and through those of a
/// client that trusts `ca`.
pub(super) fn check(
    ca: &CertificateDer<'static>,
    leaf: &Leaf,
) -> Result<CertificateFacts, CertgenError> {
    let credentials = pair(leaf)?;
    let facts = credentials.facts().clone();
    trust(ca, &credentials.certified_key(), &facts.names).map_err(CertgenError::Untrusted)?;
    Ok(facts)
}

/// The same for a client's pair and a server that admits the clients of `ca`.
pub(super) fn check_client(
    ca: &CertificateDer<'static>,
    leaf: &Leaf,
) -> Result<CertificateFacts, CertgenError> {
    let credentials = pair(leaf)?;
    admit(ca, &credentials.certified_key()).map_err(CertgenError::Refused)?;
    Ok(credentials.facts().clone())
}

fn pair(leaf: &Leaf) -> Result<Credentials, CertgenError> {
    let text = PairText {
        cert: Zeroizing::new(leaf.cert.as_bytes().to_vec()),
        key: Zeroizing::new(leaf.key.as_bytes().to_vec()),
    };
    let (cert, key) = (Path::new(CERT), Path::new(KEY));
    Credentials::from_text(cert, key, &text, SystemTime::now()).map_err(CertgenError::Unusable)
}

fn admit(ca: &CertificateDer<'static>, pair: &CertifiedKey) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    let provider = rustls_post_quantum::provider().into();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let leaf = pair.end_entity_cert()?;
    verifier.verify_client_cert(leaf, &[], UnixTime::now())?;
    Ok(())
}

fn trust(
    ca: &CertificateDer<'static>,
    pair: &CertifiedKey,
    names: &[String],
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone())?;
    let provider = rustls_post_quantum::provider().into();
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    for name in names {
        // A wildcard stands for any one label.
        let name = ServerName::try_from(name.replacen('*', "any", 1))
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(pair.end_entity_cert()?, &[], &name, &[], UnixTime::now())?;
    }
    Ok(())
}
