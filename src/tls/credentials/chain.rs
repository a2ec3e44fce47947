//! The certificate file: the server's own certificate, in date, and behind it what clients need to find its
//! issuer. What is wrong behind the first is a warning: clients leave out what they do not need.
//! Signatures are the client's business: a server sends what it was given (RFC 8446, 4.4.2).

use std::path::Path;

use hybridge_pem::{Block, Position};
use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Version;

use super::algorithm::{KeyAlgorithm, REMEDY, unsuitable_rsa_size};
use super::block::{Entry, labels};
use super::error::{CredentialError, Role};
use super::facts::{CertificateFacts, title};
use super::path::ShownBy;
use super::warning::{self, Warning};

/// Longest chain that is read; clients give up well below it.
const CHAIN_LIMIT: usize = 16;

/// The certificates of a file in its order, the server's own first; never empty.
pub(super) struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    validity: Validity,
    pub(super) facts: CertificateFacts,
    /// What does not keep it from being served.
    pub(super) warnings: Vec<Warning>,
}

impl Chain {
    /// Everything but the server certificate's own dates.
    pub(super) fn parse(
        path: &Path,
        text: &[u8],
        now: i64,
        by: ShownBy,
    ) -> Result<Self, CredentialError> {
        let file = CertificateFile { path };
        let (positions, certificates) = file.decode(text)?;
        let parsed = positions
            .iter()
            .zip(&certificates)
            .map(|(at, der)| file.certificate(*at, der))
            .collect::<Result<Vec<_>, _>>()?;
        let [leaf, ..] = parsed.as_slice() else {
            return Err(file.wrong_blocks("nothing"));
        };
        file.check_leaf(leaf)?;
        file.check_link(&parsed)?;
        let mut warnings = warning::of_leaf(path, leaf, by);
        warnings.append(&mut warning::of_rest(path, &parsed, now));
        let is_good = warnings.is_empty();
        warnings.append(&mut warning::of_path(path, &parsed, by, now, is_good));
        Ok(Self {
            validity: Validity::of(leaf),
            facts: CertificateFacts::new(leaf, &parsed),
            warnings,
            certificates,
        })
    }

    /// Apart from parsing, because half a pair is to be told from one that is out of date.
    pub(super) fn check_dates(&self, path: &Path, now: i64) -> Result<(), CredentialError> {
        self.validity.check(path, now)
    }

    pub(super) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.certificates.clone()
    }
}

struct CertificateFile<'a> {
    path: &'a Path,
}

impl CertificateFile<'_> {
    fn decode(
        &self,
        text: &[u8],
    ) -> Result<(Vec<Position>, Vec<CertificateDer<'static>>), CredentialError> {
        let blocks = blocks(Role::Certificate, self.path, text)?;
        let certificates = blocks.iter().filter(|block| block.label.is_certificate());
        let mut decoded = (Vec::new(), Vec::new());
        for block in certificates {
            let der = block.decode().map_err(|cause| CredentialError::Pem {
                role: Role::Certificate,
                path: self.path.into(),
                cause,
            })?;
            let Some((_, der)) = der else {
                let what = "an encrypted block".to_owned();
                return Err(self.unsupported(
                    block.at,
                    what,
                    "certificates are public: write it as it is",
                ));
            };
            decoded.0.push(block.at);
            decoded.1.push(der.into());
        }
        match decoded.1.len() {
            0 if blocks.iter().any(|block| block.label.is_private_key()) => {
                Err(CredentialError::KeyInCertificateFile {
                    path: self.path.into(),
                })
            }
            0 => Err(self.wrong_blocks(&labels(&blocks))),
            count if count > CHAIN_LIMIT => Err(CredentialError::ChainTooLong {
                path: self.path.into(),
                count,
                limit: CHAIN_LIMIT,
            }),
            _ => Ok(decoded),
        }
    }

    fn wrong_blocks(&self, found: &str) -> CredentialError {
        CredentialError::WrongBlocks {
            role: Role::Certificate,
            path: self.path.into(),
            found: found.to_owned(),
        }
    }

    fn certificate<'a>(
        &self,
        at: Position,
        der: &'a CertificateDer<'static>,
    ) -> Result<Entry<'a>, CredentialError> {
        let malformed = |cause: String| CredentialError::Certificate {
            path: self.path.into(),
            at,
            cause,
        };
        let (rest, x509) =
            X509Certificate::from_der(der).map_err(|error| malformed(error.to_string()))?;
        if !rest.is_empty() {
            return Err(malformed(match rest.len() {
                1 => "1 byte follows it".to_owned(),
                more => format!("{more} bytes follow it"),
            }));
        }
        Ok(Entry { at, x509 })
    }

    fn unsupported(&self, at: Position, what: String, remedy: &'static str) -> CredentialError {
        CredentialError::Unsupported {
            role: Role::Certificate,
            path: self.path.into(),
            at,
            what,
            remedy,
        }
    }

    /// Of the certificates behind it clients choose what they can use.
    fn check_leaf(&self, leaf: &Entry<'_>) -> Result<(), CredentialError> {
        let version = leaf.x509.version();
        if version != X509Version::V3 {
            let what = format!(
                "an X.509 version {} certificate",
                version.0.saturating_add(1)
            );
            return Err(self.unsupported(leaf.at, what, "have it issued as version 3"));
        }
        let key = leaf.x509.public_key();
        if let KeyAlgorithm::Unsupported(oid) = KeyAlgorithm::of_public_key(key) {
            let what = format!("a certificate for a key of the unsupported algorithm {oid}");
            return Err(self.unsupported(leaf.at, what, REMEDY));
        }
        if let Some(bits) = unsuitable_rsa_size(key) {
            let what = format!("a certificate for an RSA key of {bits} bits");
            return Err(self.unsupported(leaf.at, what, REMEDY));
        }
        Ok(())
    }

    /// The second certificate issued the first; behind them order and gaps are for clients to decide.
    fn check_link(&self, chain: &[Entry<'_>]) -> Result<(), CredentialError> {
        let [leaf, next, ..] = chain else {
            return Ok(());
        };
        let (issuer, subject) = (leaf.x509.issuer(), leaf.x509.subject());
        if hybridge_names::same(issuer, next.x509.subject())
            || hybridge_names::same(issuer, subject)
        {
            return Ok(());
        }
        Err(CredentialError::Chain {
            path: self.path.into(),
            at: leaf.at,
            issuer: hybridge_names::text(issuer),
            next: next.at,
            found: title(&next.x509),
        })
    }
}

/// When the server's certificate may be used, unix seconds.
struct Validity {
    at: Position,
    title: String,
    not_before: i64,
    not_after: i64,
}

impl Validity {
    fn of(entry: &Entry<'_>) -> Self {
        let validity = entry.x509.validity();
        Self {
            at: entry.at,
            title: title(&entry.x509),
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        }
    }

    fn check(&self, path: &Path, now: i64) -> Result<(), CredentialError> {
        if now > self.not_after {
            return Err(CredentialError::Expired {
                path: path.into(),
                at: self.at,
                subject: self.title.clone(),
                not_after: self.not_after,
                now,
            });
        }
        if now < self.not_before {
            return Err(CredentialError::NotYetValid {
                path: path.into(),
                at: self.at,
                subject: self.title.clone(),
                not_before: self.not_before,
                now,
            });
        }
        Ok(())
    }
}

/// The blocks of a file, of which there must be one at least.
pub(super) fn blocks(role: Role, path: &Path, text: &[u8]) -> Result<Vec<Block>, CredentialError> {
    let blocks = hybridge_pem::blocks(text).map_err(|cause| CredentialError::Pem {
        role,
        path: path.into(),
        cause,
    })?;
    if !blocks.is_empty() {
        return Ok(blocks);
    }
    Err(CredentialError::NotPem {
        role,
        path: path.into(),
    })
}
