//! Certificates of CAs, each one checked before it decides about a peer: one reader for those that certify
//! clients and those that certify servers.

mod error;
mod file;
mod trusted;

use std::path::Path;

use hybridge_names::algorithm;
use rustls::RootCertStore;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, NameConstraints};
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

pub use self::error::CaError;
pub(in crate::tls) use self::file::{parse, parse_usable};
use crate::tls::credentials::{KEY_REMEDY, is_verified_by, printable, rfc3339};
use crate::tls::policy::{Profile, of_library};

/// Whom CAs certify.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Certifies {
    /// Clients, of a listener held to this profile.
    Clients(Profile),
    /// Servers of an egress or of a collector.
    Servers {
        /// They are known by the URI in their certificate, whatever their name.
        by_uri: bool,
    },
}

/// The name and the public key of a CA that may sign revocation lists.
pub(in crate::tls) struct Signer {
    /// In DER.
    pub(in crate::tls) name: Vec<u8>,
    /// How messages call it.
    pub(in crate::tls) text: String,
    pub(in crate::tls) key: Vec<u8>,
}

/// What was read.
pub(in crate::tls) struct ParsedCas {
    pub(in crate::tls) roots: RootCertStore,
    /// Certificates of servers that are no CA and that nobody else certifies: each counts for itself only.
    pub(in crate::tls) pins: Vec<CertificateDer<'static>>,
    /// What is worth a warning.
    pub(in crate::tls) warnings: Vec<String>,
    /// The algorithms of the CAs' keys.
    pub(in crate::tls) keys: Vec<String>,
    /// Who may sign revocation lists, in the order of `roots`.
    pub(in crate::tls) signers: Vec<Signer>,
    /// Those with a key that verifies nothing, each with what is to be said of it.
    useless: Vec<CaError>,
    certifies: Certifies,
    verifies: Option<WebPkiSupportedAlgorithms>,
}

impl ParsedCas {
    /// `verifies`: the signatures that count, where somebody hears of keys that make none of them.
    pub(in crate::tls) fn none(
        certifies: Certifies,
        verifies: Option<WebPkiSupportedAlgorithms>,
    ) -> Self {
        Self {
            roots: RootCertStore::empty(),
            pins: Vec::new(),
            warnings: Vec::new(),
            keys: Vec::new(),
            signers: Vec::new(),
            useless: Vec::new(),
            certifies,
            verifies,
        }
    }

    /// How many certificates count.
    pub(in crate::tls) fn count(&self) -> usize {
        self.roots.len() + self.pins.len()
    }

    /// Those that verify nothing become warnings, if there is another.
    fn warn_of_useless(&mut self, path: &Path) -> Result<(), CaError> {
        if self.count() == 0 {
            let (path, certifies) = (path.into(), self.certifies);
            return Err(CaError::Empty { path, certifies });
        }
        let all = self.useless.len() == self.count();
        if let Some(first) = self.useless.pop_if(|_| all) {
            return Err(first);
        }
        let setting = setting(self.certifies);
        let useless = self.useless.drain(..);
        let warnings = useless.map(|error| format!("{setting}: {error}"));
        self.warnings.extend(warnings);
        Ok(())
    }

    /// One more of the host's own bundle, `number`th there.
    pub(in crate::tls) fn add_of_host(
        &mut self,
        number: usize,
        der: CertificateDer<'static>,
        now: i64,
    ) -> Result<(), CaError> {
        let ca = Ca {
            place: format!("certificate {number} of the host's bundle"),
            certifies: self.certifies,
            now,
        };
        self.add(&ca, der)
    }

    fn add(&mut self, ca: &Ca, der: CertificateDer<'static>) -> Result<(), CaError> {
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|cause| ca.malformed(cause.to_string()))?;
        let is_ca = ca.is_ca(&certificate)?;
        let warnings = if is_ca {
            ca.check(&certificate)?
        } else {
            ca.check_pin(&certificate)?
        };
        let verifies = self.verifies.as_ref();
        let useless = verifies.and_then(|verifies| ca.useless(&certificate, verifies));
        if is_ca {
            let added = self.roots.add(der.clone());
            added.map_err(|cause| ca.malformed(cause.to_string()))?;
            self.keys.push(algorithm::key(certificate.public_key()));
            self.signers.push(Signer {
                name: certificate.subject().as_raw().to_vec(),
                text: hybridge_names::text(certificate.subject()),
                key: certificate.public_key().subject_public_key.data.to_vec(),
            });
        } else {
            let usable = RootCertStore::empty().add(der.clone());
            usable.map_err(|cause| ca.malformed(cause.to_string()))?;
            self.pins.push(der);
        }
        self.warnings.extend(warnings);
        self.useless.extend(useless);
        Ok(())
    }
}

/// The setting that names them.
fn setting(certifies: Certifies) -> &'static str {
    match certifies {
        Certifies::Clients(_) => "client-ca",
        Certifies::Servers { .. } => "ca",
    }
}

/// A certificate under test.
struct Ca {
    /// How messages call it.
    place: String,
    certifies: Certifies,
    now: i64,
}

impl Ca {
    fn is_ca(&self, certificate: &X509Certificate<'_>) -> Result<bool, CaError> {
        if self.is_old_root(certificate) {
            return Ok(true);
        }
        let constraints = certificate.basic_constraints();
        let constraints = constraints.map_err(|cause| self.malformed(cause.to_string()))?;
        Ok(constraints.is_some_and(|constraints| constraints.value.ca))
    }

    /// A self-signed certificate of X.509 version 1, which has no place for basicConstraints: what `openssl x509 -req
    /// -signkey` makes. Private PKIs have roots like that, and it is a trust anchor for the verifier.
    fn is_old_root(&self, certificate: &X509Certificate<'_>) -> bool {
        matches!(self.certifies, Certifies::Servers { .. })
            && certificate.version() == X509Version::V1
            && hybridge_names::same(certificate.subject(), certificate.issuer())
    }

    /// What is worth a warning of a CA that can be used.
    fn check(&self, certificate: &X509Certificate<'_>) -> Result<Vec<String>, CaError> {
        let (place, subject) = (&self.place, hybridge_names::text(certificate.subject()));
        let mut warnings = Vec::new();
        let names = certificate.name_constraints();
        let names = names.map_err(|cause| self.malformed(cause.to_string()))?;
        if let Some(constraint) = names.and_then(|names| uri_constraint(names.value)) {
            if self.certifies != (Certifies::Servers { by_uri: false }) {
                return Err(CaError::UriConstraint {
                    place: place.clone(),
                    subject,
                    constraint,
                    certifies: self.certifies,
                });
            }
            warnings.push(format!("ca: {place}, `{subject}`, has a name constraint on URIs ({constraint}), which cannot be verified: a server below it with a URI in its certificate is refused"));
        }
        if let Certifies::Clients(profile) = self.certifies {
            let key = algorithm::key(certificate.public_key());
            if !profile.admits_key(&key) {
                return Err(CaError::Profile {
                    place: place.clone(),
                    subject,
                    key,
                    profile,
                });
            }
        }
        if self.is_old_root(certificate) {
            warnings.push(format!("ca: {place}, `{subject}`, is of X.509 version 1, which does not say whether it is a CA: anyone who has its key can certify any server; make it again with basicConstraints"));
        }
        let still = match self.certifies {
            Certifies::Clients(_) => "its clients are still let in",
            Certifies::Servers { .. } => "the servers that it certifies are still trusted",
        };
        let setting = setting(self.certifies);
        let expired = self.expired(certificate).map(|until| {
            format!("{setting}: {place}, `{subject}`, expired at {until}, and {still}: remove it")
        });
        warnings.extend(expired);
        Ok(warnings)
    }

    /// The same of a certificate that is no CA. A trust anchor is a name and a key for the verifier, so that a leaf
    /// would certify anybody; one of a server that nobody else certifies counts for itself, which is what a
    /// self-signed certificate is written down for.
    fn check_pin(&self, certificate: &X509Certificate<'_>) -> Result<Vec<String>, CaError> {
        let (place, subject) = (&self.place, hybridge_names::text(certificate.subject()));
        let names = certificate.subject_alternative_name();
        let names = names.map_err(|cause| self.malformed(cause.to_string()))?;
        let of_itself = hybridge_names::same(certificate.subject(), certificate.issuer());
        let of_servers = matches!(self.certifies, Certifies::Servers { .. });
        if !of_servers || !of_itself || names.is_none() {
            return Err(CaError::NotACa {
                place: place.clone(),
                subject,
                certifies: self.certifies,
                of_itself,
            });
        }
        let expired = self.expired(certificate).map(|until| {
            format!("ca: {place}, `{subject}`, expired at {until}, and the server that shows it is refused: replace it")
        });
        Ok(expired.into_iter().collect())
    }

    /// What is to be said if its key is of no kind that verifies a signature here.
    fn useless(
        &self,
        certificate: &X509Certificate<'_>,
        verifies: &WebPkiSupportedAlgorithms,
    ) -> Option<CaError> {
        let key = certificate.public_key();
        if is_verified_by(key, verifies) {
            return None;
        }
        Some(CaError::Key {
            place: self.place.clone(),
            subject: hybridge_names::text(certificate.subject()),
            key: algorithm::key(key),
            certifies: self.certifies,
            remedy: if is_verified_by(key, &of_library()) {
                "remove it, or admit such keys by `signatures`"
            } else {
                KEY_REMEDY
            },
        })
    }

    /// Since when it no longer counts.
    fn expired(&self, certificate: &X509Certificate<'_>) -> Option<String> {
        let until = certificate.validity().not_after.timestamp();
        (until < self.now).then(|| rfc3339(until))
    }

    fn malformed(&self, cause: String) -> CaError {
        CaError::Certificate {
            place: self.place.clone(),
            cause,
        }
    }
}

/// The first constraint on URIs: the verifier refuses any certificate with a URI below such a CA.
fn uri_constraint(constraints: &NameConstraints<'_>) -> Option<String> {
    let permitted = constraints.permitted_subtrees.iter().flatten();
    let excluded = constraints.excluded_subtrees.iter().flatten();
    let mut words = permitted
        .map(|tree| ("permitted", tree))
        .chain(excluded.map(|tree| ("excluded", tree)));
    words.find_map(|(word, tree)| match &tree.base {
        GeneralName::URI(uri) => Some(format!("{word};URI:{}", printable(uri))),
        _ => None,
    })
}
