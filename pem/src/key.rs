//! The one private key of a file.

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

use crate::{Label, PemError, Position, blocks};

/// Why a text holds no key that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It is not well-formed.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// No block is a private key.
    #[error("it holds no private key in PEM")]
    Nothing,
    /// Which of them would be used is an accident.
    #[error("it holds {count} private keys: leave the one that is meant")]
    Several {
        /// How many.
        count: usize,
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
    let mut blocks = blocks(text)?;
    blocks.retain(|block| block.label.is_private_key());
    let block = match blocks.as_slice() {
        [] => return Err(KeyError::Nothing),
        [block] => block,
        several => {
            let count = several.len();
            return Err(KeyError::Several { count });
        }
    };
    let (at, label) = (block.at, block.label);
    if block.encrypted || label.is("ENCRYPTED PRIVATE KEY") {
        return Err(KeyError::Encrypted { at });
    }
    let decoded = block.decode()?;
    let key = decoded.and_then(|(kind, der)| PemObject::from_pem(kind, der));
    key.ok_or(KeyError::Form { at, label })
}
