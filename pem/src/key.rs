//! The one key of a file, private or public.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};

use crate::{Block, Label, PemError, Position, blocks};

/// Why a text holds no key that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not well-formed.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// No block is a private key.
    #[error("it holds no {kind} key in PEM")]
    Nothing {
        /// Private or public.
        kind: &'static str,
    },
    /// Which of them would be used is an accident.
    #[error("it holds {count} {kind} keys: leave the one that is meant")]
    Several {
        /// How many.
        count: usize,
        /// Private or public.
        kind: &'static str,
    },
    /// There is nobody to ask for the passphrase.
    #[error("{at} is an encrypted key: decrypt it with `openssl pkey -in FILE -out NEW`")]
    Encrypted {
        /// Where it stands.
        at: Position,
    },
    /// A form of another program.
    #[error(
        "{at} is a key in the form `{label}`: convert it with `openssl pkey -in FILE -out NEW`"
    )]
    Form {
        /// Where it stands.
        at: Position,
        /// Its form.
        label: Label,
    },
}

/// The private key of a file that may hold other blocks too, such as a certificate.
pub fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, KeyError> {
    let block = one(text, "private", |block| block.label.is_private_key())?;
    let (at, label) = (block.at, block.label);
    if block.encrypted || label.is("ENCRYPTED PRIVATE KEY") {
        return Err(KeyError::Encrypted { at });
    }
    let decoded = block.decode()?;
    let key = decoded.and_then(|(kind, der)| PemObject::from_pem(kind, der));
    key.ok_or(KeyError::Form { at, label })
}

/// The public key of a file that may hold other blocks too: SPKI (RFC 5280 §4.1.2.7).
pub fn public_key(text: &[u8]) -> Result<SubjectPublicKeyInfoDer<'static>, KeyError> {
    let block = one(text, "public", |block| block.label.is("PUBLIC KEY"))?;
    let (at, label) = (block.at, block.label);
    let decoded = block.decode()?;
    let key = decoded.and_then(|(kind, der)| PemObject::from_pem(kind, der));
    key.ok_or(KeyError::Form { at, label })
}

fn one(
    text: &[u8],
    kind: &'static str,
    is_meant: impl Fn(&Block) -> bool,
) -> Result<Block, KeyError> {
    let mut meant = blocks(text)?.into_iter().filter(is_meant);
    let block = meant.next().ok_or(KeyError::Nothing { kind })?;
    match meant.count() {
        0 => Ok(block),
        more => Err(KeyError::Several {
            count: more + 1,
            kind,
        }),
    }
}
