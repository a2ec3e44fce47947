//! What `hybridge certs` tells its user, and the check that what it wrote can be served.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::tls::credentials::{CertificateFacts, Credentials, PairText, rfc3339};

use super::error::CertgenError;
use super::files::{CERT, KEY};
use super::issue::Leaf;

/// What was written, and where. Its text is what the command prints.
#[derive(Clone, Debug)]
pub struct Report {
    /// The authority's certificate, for clients.
    pub ca: PathBuf,
    /// The server's certificate.
    pub cert: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// Files written, in order.
    pub written: Vec<PathBuf>,
    /// Of the server's certificate.
    pub facts: CertificateFacts,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.written {
            writeln!(f, "wrote {}", path.display())?;
        }
        let facts = &self.facts;
        writeln!(f, "names       {}", facts.names.join(", "))?;
        writeln!(f, "algorithm   {}", facts.key_algorithm)?;
        writeln!(f, "valid until {}", rfc3339(facts.not_after))?;
        let (cert, key) = (self.cert.display(), self.key.display());
        writeln!(f, "serve with  hybridge run --cert {cert} --key {key} …")?;
        write!(f, "trust with  curl --cacert {} …", self.ca.display())
    }
}

/// Puts a new pair through the checks it will meet when it is loaded, and through those of a
/// client that trusts `authority`.
pub(super) fn check(
    authority: &CertificateDer<'static>,
    leaf: &Leaf,
) -> Result<CertificateFacts, CertgenError> {
    let text = PairText {
        cert: Zeroizing::new(leaf.cert.as_bytes().to_vec()),
        key: Zeroizing::new(leaf.key.as_bytes().to_vec()),
    };
    let (cert, key) = (Path::new(CERT), Path::new(KEY));
    let credentials = Credentials::from_text(cert, key, &text, SystemTime::now())
        .map_err(CertgenError::Unusable)?;
    let facts = credentials.facts().clone();
    trust(authority, &credentials.certified_key(), &facts.names)
        .map_err(CertgenError::Untrusted)?;
    Ok(facts)
}

fn trust(
    authority: &CertificateDer<'static>,
    pair: &CertifiedKey,
    names: &[String],
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
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
