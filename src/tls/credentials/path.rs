//! The way from the own certificate to the last issuer in its file, looked at as the other side verifies it (RFC 5280 §6).
//! That side has its own copy of a root, so a self-issued certificate is only asked how many CAs may follow it.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, Error, RootCertStore};

use super::algorithm::broken_signature;
use super::block::Entry;

/// Who shows a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ShownBy {
    /// A listener.
    Server,
    /// An egress.
    Client,
}

/// What the other side refuses the way for: which certificate of `chain`, and why.
pub(super) fn refusals(chain: &[Entry<'_>], by: ShownBy) -> Vec<(usize, String)> {
    let who = verifier(by);
    let mut found = Vec::new();
    let mut below = 0;
    for (steps, at) in way(chain).into_iter().enumerate() {
        let Some(entry) = chain.get(at) else { continue };
        let mut say = |what: String| found.push((at, what));
        if steps > 0 {
            if let Some(limit) = path_limit(entry).filter(|limit| below > *limit) {
                say(format!(
                    "may have {limit} CAs between it and the certificate of a server or client (pathlen), and here are {below}: {who} refuse the chain; have the certificate issued by another CA"
                ));
            }
            if !entry.is_self_issued() {
                below += 1;
                issuer(entry, by).into_iter().for_each(&mut say);
            }
        }
        if let Some(signature) = broken_signature(&entry.x509)
            && !entry.is_self_issued()
        {
            say(format!(
                "is signed with {signature}, which {who} refuse: have it issued with SHA-256 or better"
            ));
        }
    }
    found
}

fn verifier(by: ShownBy) -> &'static str {
    match by {
        ShownBy::Server => "clients",
        ShownBy::Client => "servers",
    }
}

/// The own certificate, who issued it, who issued that one, and so on, by their places in the file.
fn way(chain: &[Entry<'_>]) -> Vec<usize> {
    let mut way = vec![0];
    let mut head = 0;
    while let Some(entry) = chain.get(head).filter(|entry| !entry.is_self_issued()) {
        let issued = |(at, other): &(usize, &Entry<'_>)| !way.contains(at) && other.issued(entry);
        let Some((next, _)) = chain.iter().enumerate().find(issued) else {
            break;
        };
        way.push(next);
        head = next;
    }
    way
}

fn path_limit(entry: &Entry<'_>) -> Option<u32> {
    let constraints = entry.x509.basic_constraints().ok()??;
    constraints.value.path_len_constraint
}

/// What an issuer lacks that is no root.
fn issuer(entry: &Entry<'_>, by: ShownBy) -> Vec<String> {
    let (x509, who) = (&entry.x509, verifier(by));
    let mut found = Vec::new();
    if !x509.is_ca() {
        found.push(format!(
            "issued a certificate of this file and is not that of a CA (basic constraints): {who} refuse what it issued; have the certificate issued by a CA"
        ));
    }
    if let Ok(Some(usage)) = x509.key_usage()
        && !usage.value.key_cert_sign()
    {
        found.push(format!(
            "issued a certificate of this file and its key usage lacks keyCertSign: {who} refuse what it issued; have the certificate issued by a CA that has it"
        ));
    }
    if let Ok(Some(usage)) = x509.extended_key_usage() {
        let (is_for, lacks) = match by {
            ShownBy::Server => (usage.value.server_auth, "serverAuth"),
            ShownBy::Client => (usage.value.client_auth, "clientAuth"),
        };
        if !is_for && !usage.value.any {
            found.push(format!(
                "issued a certificate of this file and its extended key usage lacks {lacks}: {who} refuse what it issued; have the certificate issued by a CA that has it"
            ));
        }
    }
    found
}

/// Why a verifier that trusts the last issuer refuses the own certificate: name constraints, extensions that nobody knows.
/// Dates, names and missing issuers are said elsewhere.
pub(super) fn verified(chain: &[Entry<'_>], by: ShownBy, now: i64) -> Option<String> {
    let certificates: Vec<_> = way(chain)
        .into_iter()
        .filter_map(|at| chain.get(at))
        .map(|entry| CertificateDer::from(entry.x509.as_raw()))
        .collect();
    let [leaf, between @ .., last] = certificates.as_slice() else {
        return None;
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now.try_into().ok()?));
    let cause = verify(leaf, between, last, by, now).err()?;
    let Error::InvalidCertificate(cause) = cause else {
        return None;
    };
    is_of_chain(&cause).then(|| {
        format!(
            "is refused by {} that verify as hybridge does: {}; have it issued anew",
            verifier(by),
            in_words(&cause)
        )
    })
}

fn verify(
    leaf: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    last: &CertificateDer<'_>,
    by: ShownBy,
    now: UnixTime,
) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(last.clone().into_owned())?;
    let (roots, provider) = (roots.into(), Arc::new(rustls_post_quantum::provider()));
    let other = |cause: rustls::server::VerifierBuilderError| Error::General(cause.to_string());
    match by {
        ShownBy::Server => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider);
            let verifier = verifier.build().map_err(other)?;
            // The name comes last.
            let name = Ipv6Addr::LOCALHOST.into();
            let name = rustls::pki_types::ServerName::IpAddress(name);
            verifier.verify_server_cert(leaf, between, &name, &[], now)?;
        }
        ShownBy::Client => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = verifier.build().map_err(other)?;
            verifier.verify_client_cert(leaf, between, now)?;
        }
    }
    Ok(())
}

fn in_words(cause: &CertificateError) -> String {
    use CertificateError as E;
    match cause {
        E::UnhandledCriticalExtension => {
            "it, or a CA above it, has a critical extension that is not known".to_owned()
        }
        E::Other(other) if other.0.to_string() == "NameConstraintViolation" => {
            "its names are not among those that a CA above it may certify (name constraints; those on URIs and on subjects cannot be verified and admit none)".to_owned()
        }
        E::Other(other) => format!("it does not keep to RFC 5280 ({})", other.0),
        _ => "it, or a CA above it, does not keep to RFC 5280".to_owned(),
    }
}

fn is_of_chain(cause: &CertificateError) -> bool {
    use CertificateError as E;
    matches!(
        cause,
        E::UnhandledCriticalExtension | E::BadEncoding | E::Other(_)
    )
}
