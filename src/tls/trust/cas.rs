//! The file of CAs: each one checked before it decides about a client.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, NameConstraints};
use x509_parser::prelude::FromDer;

use super::agent_lists::Signer;
use super::error::TrustError;
use crate::tls::credentials::{describe_key, name_text, printable, rfc3339};
use crate::tls::pem::{self, Block, Position};
use crate::tls::policy::Profile;

/// What a file of CAs holds.
pub(super) struct ParsedCas {
    pub(super) roots: RootCertStore,
    /// What is worth a warning.
    pub(super) warnings: Vec<String>,
    /// The algorithms of their keys.
    pub(super) keys: Vec<String>,
    /// Who may sign revocation lists, in the order of `roots`.
    pub(super) signers: Vec<Signer>,
}

/// The CAs of a file at `now` (unix seconds), each of a kind that the profile has.
pub(super) fn parse(
    path: &Path,
    text: &[u8],
    now: i64,
    profile: Profile,
) -> Result<ParsedCas, TrustError> {
    let file = CaFile { path, profile };
    let mut roots = RootCertStore::empty();
    let mut warnings = Vec::new();
    let mut keys = Vec::new();
    let mut signers = Vec::new();
    for block in pem::blocks(text).map_err(|cause| file.pem(cause))? {
        let der = file.decode(&block)?;
        let (key, warning, signer) = file.check(block.at, &der, now)?;
        keys.push(key);
        warnings.extend(warning);
        signers.push(signer);
        let added = roots.add(CertificateDer::from(der));
        added.map_err(|cause| file.malformed(block.at, cause.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::Empty { path: path.into() });
    }
    Ok(ParsedCas {
        roots,
        warnings,
        keys,
        signers,
    })
}

struct CaFile<'a> {
    path: &'a Path,
    profile: Profile,
}

impl CaFile<'_> {
    fn decode(&self, block: &Block) -> Result<Vec<u8>, TrustError> {
        match block.decode().map_err(|cause| self.pem(cause))? {
            Some((SectionKind::Certificate, der)) => Ok(der),
            Some((
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey,
                _,
            )) => Err(TrustError::PrivateKey {
                path: self.path.into(),
                at: block.at,
            }),
            _ => Err(self.malformed(block.at, format!("it is `{}`", block.label))),
        }
    }

    /// The algorithm of its key, what is worth a warning, and what its lists are verified with, if it can be used.
    fn check(
        &self,
        at: Position,
        der: &[u8],
        now: i64,
    ) -> Result<(String, Option<String>, Signer), TrustError> {
        let (_, certificate) = X509Certificate::from_der(der)
            .map_err(|cause| self.malformed(at, cause.to_string()))?;
        let subject = name_text(certificate.subject());
        let constraints = certificate
            .basic_constraints()
            .map_err(|cause| self.malformed(at, cause.to_string()))?;
        if !constraints.is_some_and(|constraints| constraints.value.ca) {
            return Err(TrustError::NotACa {
                path: self.path.into(),
                at,
                subject,
            });
        }
        let names = certificate
            .name_constraints()
            .map_err(|cause| self.malformed(at, cause.to_string()))?;
        if let Some(constraint) = names.and_then(|names| uri_constraint(names.value)) {
            return Err(TrustError::UriConstraint {
                path: self.path.into(),
                at,
                subject,
                constraint,
            });
        }
        let key = describe_key(certificate.public_key());
        if !self.profile.admits_key(&key) {
            return Err(TrustError::Profile {
                path: self.path.into(),
                at,
                subject,
                key,
                profile: self.profile,
            });
        }
        let until = certificate.validity().not_after.timestamp();
        let warning = (until < now).then(|| {
            let path = self.path.display();
            let until = rfc3339(until);
            format!("client-ca: {path}: {at}, `{subject}`, expired at {until}, and its clients are still let in: remove it")
        });
        let signer = Signer {
            name: certificate.subject().as_raw().to_vec(),
            key: certificate.public_key().subject_public_key.data.to_vec(),
        };
        Ok((key, warning, signer))
    }

    fn pem(&self, cause: pem::PemError) -> TrustError {
        TrustError::Pem {
            path: self.path.into(),
            cause,
        }
    }

    fn malformed(&self, at: Position, cause: String) -> TrustError {
        TrustError::Certificate {
            path: self.path.into(),
            at,
            cause,
        }
    }
}

/// The first constraint on URIs: the verifier refuses whatever such a CA certifies.
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
