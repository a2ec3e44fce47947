//! Whether a client accepts a server's certificate for a name: before one connects.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{Error, RootCertStore};

use super::unverified;

/// Why a client refuses `chain` (leaf first) for `name` at that time. Without `cas` the last certificate behind the leaf is
/// trusted, and a leaf that it did not issue is asked for its purpose and its names only.
pub(crate) fn refusal(
    chain: &[CertificateDer<'_>],
    cas: &[CertificateDer<'_>],
    name: &str,
    now: i64,
) -> Option<String> {
    let said = match verify(chain, cas, name, now) {
        Ok(()) => return None,
        Err(Error::InvalidCertificate(cause)) => unverified::cause(&cause),
        Err(other) => other.to_string(),
    };
    Some(said)
}

fn verify(
    chain: &[CertificateDer<'_>],
    cas: &[CertificateDer<'_>],
    name: &str,
    now: i64,
) -> Result<(), Error> {
    let other = |cause: &dyn std::fmt::Display| Error::General(cause.to_string());
    let name = ServerName::try_from(name).map_err(|cause| other(&cause))?;
    let [leaf, between @ ..] = chain else {
        return Err(Error::NoCertificatesPresented);
    };
    let mut roots = RootCertStore::empty();
    match (cas, between.last()) {
        ([], last) => roots.add(last.unwrap_or(leaf).clone().into_owned())?,
        (cas, _) => {
            for ca in cas {
                roots.add(ca.clone().into_owned())?;
            }
        }
    }
    let provider = Arc::new(rustls_post_quantum::provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().map_err(|cause| other(&cause))?;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.try_into().unwrap_or(0)));
    match verifier.verify_server_cert(leaf, between, &name, &[], now) {
        // The issuer is asked for behind the purpose and before the name.
        Err(error) if cas.is_empty() && unverified::is_of_another_issuer(&error) => {
            verify_server_name(&ParsedCertificate::try_from(leaf)?, &name)
        }
        verified => verified.map(|_| ()),
    }
}
