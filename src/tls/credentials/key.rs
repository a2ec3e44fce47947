//! The private key file: exactly one unencrypted key, as PKCS#8 (RFC 5958), SEC1 (RFC 5915) or PKCS#1 (RFC 8017).

use std::path::Path;
use std::sync::Arc;

use hybridge_pem::Block;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::sign::SigningKey;

use super::algorithm::{KeyAlgorithm, REMEDY};
use super::block::labels;
use super::chain::blocks;
use super::error::{CredentialError, Role};

/// Loads the one key in `text`; `path` names the file in errors.
pub(super) fn load(
    path: &Path,
    text: &[u8],
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, CredentialError> {
    let blocks = blocks(Role::Key, path, text)?;
    let block = the_key(path, &blocks)?;
    let file = KeyBlock { path, block };
    let der = file.decode()?;
    let algorithm = algorithm(&der);
    if let Some(KeyAlgorithm::Unsupported(oid)) = &algorithm {
        return Err(file.unsupported(format!("a key of the unsupported algorithm {oid}")));
    }
    provider
        .key_provider
        .load_private_key(der)
        .map_err(|_| CredentialError::Key {
            path: path.into(),
            at: block.at,
            algorithm: match algorithm {
                Some(KeyAlgorithm::Supported(name)) => name,
                _ => "PKCS#8, SEC1 or PKCS#1",
            },
        })
}

fn the_key<'a>(path: &Path, blocks: &'a [Block]) -> Result<&'a Block, CredentialError> {
    let keys: Vec<&Block> = blocks
        .iter()
        .filter(|block| block.label.is_private_key())
        .collect();
    match keys.as_slice() {
        [key] => Ok(key),
        [] if blocks.iter().any(|block| block.label.is_certificate()) => {
            Err(CredentialError::CertificateInKeyFile { path: path.into() })
        }
        [] => Err(CredentialError::WrongBlocks {
            role: Role::Key,
            path: path.into(),
            found: labels(blocks),
        }),
        several => Err(CredentialError::SeveralKeys {
            path: path.into(),
            count: several.len(),
            lines: several
                .iter()
                .map(|key| key.at.line.to_string())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

fn algorithm(der: &PrivateKeyDer<'_>) -> Option<KeyAlgorithm> {
    match der {
        PrivateKeyDer::Pkcs1(_) => Some(KeyAlgorithm::Supported("RSA")),
        PrivateKeyDer::Pkcs8(key) => KeyAlgorithm::of_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Sec1(key) => KeyAlgorithm::of_sec1(key.secret_sec1_der()),
        _ => None,
    }
}

struct KeyBlock<'a> {
    path: &'a Path,
    block: &'a Block,
}

impl KeyBlock<'_> {
    fn decode(&self) -> Result<PrivateKeyDer<'static>, CredentialError> {
        if self.block.encrypted || self.block.label.is("ENCRYPTED PRIVATE KEY") {
            return Err(CredentialError::EncryptedKey {
                path: self.path.into(),
                at: self.block.at,
            });
        }
        let decoded: Option<(SectionKind, Vec<u8>)> =
            self.block.decode().map_err(|cause| CredentialError::Pem {
                role: Role::Key,
                path: self.path.into(),
                cause,
            })?;
        decoded
            .and_then(|(kind, der)| PrivateKeyDer::from_pem(kind, der))
            .ok_or_else(|| self.unsupported(format!("a key in the form `{}`", self.block.label)))
    }

    fn unsupported(&self, what: String) -> CredentialError {
        CredentialError::Unsupported {
            role: Role::Key,
            path: self.path.into(),
            at: self.block.at,
            what,
            remedy: REMEDY,
        }
    }
}
