//! Certificate, key and CAs that an agent hands over instead of files: the same checks, the same
//! stores. Nothing of it is written to a disk.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use super::credentials::{
    CertificateFacts, CredentialError, Credentials, PairText, rfc3339, unix_seconds,
};
use super::identity::{svid, trust_domain};
use super::policy::Profile;
use super::reload::{CredentialStore, ReloadError, Turned};
use super::trust::{Bundle, Bundles, Followed, LastBundles, TrustStore};

/// More certificates than a chain or a bundle has.
const MOST_CERTIFICATES: usize = 128;

/// The reason of what an agent does not give, or no longer.
const REASON: &str = "spiffe";

/// What an agent says of this workload.
pub struct Workload<'a> {
    /// Its SPIFFE ID.
    pub id: &'a str,
    /// DER certificates one after the other, the leaf first.
    pub chain: &'a [u8],
    /// PKCS#8.
    pub key: &'a [u8],
    /// CAs of its trust domain, as the chain.
    pub bundle: &'a [u8],
    /// Those of other domains, by their names.
    pub federated: &'a [(String, Vec<u8>)],
    /// DER, one each.
    pub revocation_lists: &'a [Vec<u8>],
}

/// What is in use of an answer, and what is to be said of it.
type Used = (CertificateFacts, Vec<String>);

/// The stores of a listener that an agent fills.
#[derive(Clone)]
pub struct WorkloadStores {
    credentials: Arc<CredentialStore>,
    trust: Option<Arc<TrustStore>>,
    profile: Profile,
    last: LastBundles,
}

impl WorkloadStores {
    /// Empty until the first [`Self::publish`]: every handshake is refused.
    pub fn new(
        credentials: Arc<CredentialStore>,
        trust: Option<Arc<TrustStore>>,
        profile: Profile,
    ) -> Self {
        Self {
            credentials,
            trust,
            profile,
            last: LastBundles::default(),
        }
    }

    /// What the agent says of CAs is remembered there, for other rules.
    #[must_use]
    pub fn remembering(mut self, last: &LastBundles) -> Self {
        self.last = last.clone();
        self
    }

    /// Whether these are the same stores, and not only alike.
    pub fn are(&self, others: &Self) -> bool {
        let trust = match (&self.trust, &others.trust) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        };
        trust && Arc::ptr_eq(&self.credentials, &others.credentials)
    }

    /// The pair in use and what stands against it.
    pub fn credentials(&self) -> &Arc<CredentialStore> {
        &self.credentials
    }

    /// Puts everything into use, or nothing: then what was in use stays, and the failure is kept.
    pub fn publish(&self, workload: &Workload<'_>) -> Result<Used, ReloadError> {
        let used = self.try_publish(workload);
        used.map_err(|error| self.not_used(&error))
    }

    /// The same of an answer that was refused for this reason. `None`: it still is, and no failure is kept again.
    pub fn publish_again(
        &self,
        workload: &Workload<'_>,
        reason: &str,
    ) -> Option<Result<Used, ReloadError>> {
        match self.try_publish(workload) {
            Err(error) if error.reason() == reason => None,
            used => Some(used.map_err(|error| self.not_used(&error))),
        }
    }

    fn not_used(&self, error: &CredentialError) -> ReloadError {
        self.refused(error.reason(), &error.to_string())
    }

    fn try_publish(&self, workload: &Workload<'_>) -> Result<Used, CredentialError> {
        let (pair, bundles) = self.make(self.credentials.cert_path(), workload)?;
        let mut warnings: Vec<_> = pair.warnings().iter().map(ToString::to_string).collect();
        let bundles = match &self.trust {
            None => bundles,
            Some(store) => {
                let followed = self.last.follow(bundles, store.settings());
                let followed = followed.map_err(|error| self.unusable(error.to_string()))?;
                let Followed {
                    trust,
                    bundles,
                    kept,
                } = followed;
                warnings.extend_from_slice(trust.warnings());
                store.succeed(trust);
                if let Some(kept) = kept {
                    store.failure.record(&kept.clone().into());
                    warnings.push(kept);
                }
                bundles
            }
        };
        if bundles.own.is_ok() {
            self.last.remember(bundles);
        }
        let facts = pair.facts().clone();
        self.credentials.publish(pair);
        Ok((facts, warnings))
    }

    fn make(
        &self,
        source: &Path,
        workload: &Workload<'_>,
    ) -> Result<(Credentials, Bundles), CredentialError> {
        let unusable = |problem| self.unusable(problem);
        let chain = split(workload.chain)
            .ok_or_else(|| unusable("its certificates cannot be read".to_owned()))?;
        let leaf = *chain
            .first()
            .ok_or_else(|| unusable("it has no certificate".to_owned()))?;
        let id =
            svid(leaf).map_err(|problem| unusable(format!("of the certificate, {problem}")))?;
        if id != workload.id {
            return Err(unusable("the certificate has another SPIFFE ID".to_owned()));
        }
        let text = PairText {
            cert: pem("CERTIFICATE", &chain),
            key: pem("PRIVATE KEY", &[workload.key]),
        };
        let pair = Credentials::from_text(source, source, &text, SystemTime::now())?;
        pair.keep_to(self.profile, source)?;
        let bundle = |name: &str, der: &[u8]| {
            let certificates = split(der).ok_or_else(|| name.to_owned())?;
            Ok(Bundle {
                domain: name.to_owned(),
                pem: pem("CERTIFICATE", &certificates),
            })
        };
        let federated = workload.federated.iter();
        let bundles = Bundles {
            own: bundle(trust_domain(&id), workload.bundle),
            federated: federated
                .map(|(name, der)| bundle(trust_domain(name), der))
                .collect(),
            lists: workload.revocation_lists.to_vec(),
        };
        Ok((pair, bundles))
    }

    fn unusable(&self, problem: String) -> CredentialError {
        CredentialError::Workload {
            path: self.credentials.cert_path().into(),
            problem,
        }
    }

    /// Keeps a failure beside what is in use.
    pub fn failed(&self, message: &str) -> ReloadError {
        self.refused(REASON, message)
    }

    fn refused(&self, reason: &'static str, message: &str) -> ReloadError {
        if let Some(trust) = self.trust.as_ref().filter(|trust| trust.is_waiting()) {
            trust.failure.record(&message.to_owned().into());
        }
        self.credentials.fail(reason, message)
    }

    /// Says once a day that the SVID or a revocation list ends soon, or has ended.
    pub fn warn_of_expiry(&self) {
        self.credentials.warn_of_expiry();
        if let Some(trust) = &self.trust {
            trust.warn_of_lists();
        }
    }

    /// Takes an SVID out of use that has ended, and puts one back that only a wrong clock had ended.
    pub fn turn_by_clock(&self) -> Option<Turned> {
        let credentials = &self.credentials;
        let turned = credentials.turn_by_clock(unix_seconds(SystemTime::now()))?;
        let standing = credentials.last_error();
        match turned {
            Turned::Ended(at) if standing.is_none() => {
                credentials.fail(REASON, &no_other_since(at));
            }
            Turned::Restored(at) if standing.is_some_and(|it| it.message == no_other_since(at)) => {
                credentials.forget_failure();
            }
            Turned::Ended(_) | Turned::Restored(_) => {}
        }
        Some(turned)
    }
}

fn no_other_since(end: i64) -> String {
    let end = rfc3339(end);
    format!("the last SVID ended at {end}, and the agent has given no other")
}

/// Certificates that stand one after the other.
fn split(mut der: &[u8]) -> Option<Vec<&[u8]>> {
    let mut certificates = Vec::new();
    while !der.is_empty() {
        let (rest, _) = X509Certificate::from_der(der).ok()?;
        let (certificate, _) = der.split_at_checked(der.len() - rest.len())?;
        certificates.push(certificate);
        der = rest;
        if certificates.len() > MOST_CERTIFICATES {
            return None;
        }
    }
    Some(certificates)
}

/// As a file would hold it, wiped when dropped.
fn pem(label: &str, blocks: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let size: usize = blocks.iter().map(|der| der.len() * 3 / 2 + 100).sum();
    let mut text = Zeroizing::new(Vec::with_capacity(size));
    for der in blocks {
        text.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
        for line in der.chunks(48) {
            let mut encoded = Zeroizing::new([0; 64]);
            let length = STANDARD.encode_slice(line, encoded.as_mut_slice());
            text.extend_from_slice(&encoded[..length.unwrap_or_default()]);
            text.push(b'\n');
        }
        text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pem_is_what_others_write() {
        let text = pem("X", &[&[7; 50]]);
        let text = std::str::from_utf8(&text).unwrap();
        let line = STANDARD.encode([7; 50]);
        let (first, second) = line.split_at(64);
        assert_eq!(
            text,
            format!("-----BEGIN X-----\n{first}\n{second}\n-----END X-----\n")
        );
    }

    #[test]
    fn what_is_no_certificate_is_not_split() {
        assert_eq!(split(&[]), Some(vec![]));
        assert_eq!(split(b"abc"), None);
    }
}
