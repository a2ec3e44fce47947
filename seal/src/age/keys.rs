//! Recipients (public) and identities (secret), as text and as what wraps a file key.

use std::fmt;

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::hpke::{self, Refusal, SEED};
use super::kind::{KIND, Resistance, of_text};
use super::stanza::{Stanza, base64, from_base64};
use super::{Error, FileKey, bech32};

const LABEL: &[u8] = b"age-encryption.org/mlkem768x25519";
const RECIPIENT_PREFIX: &str = "age1pq";
const IDENTITY_PREFIX: &str = "age-secret-key-pq-";
/// A file key with its tag.
const BODY: usize = 32;

/// The recipients of a file.
#[derive(Clone, Eq, PartialEq)]
pub struct Recipient(Vec<u8>);

/// Why a text is no recipient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotRecipient {
    /// One without ML-KEM: its files can be recorded now and opened by a quantum computer.
    Classical,
    /// One of a kind for which nothing is sealed here: age's second one with ML-KEM (`age1tagpq1…`), or a plugin's.
    OtherKind,
    /// A secret.
    Identity,
    /// Something else.
    Malformed,
}

impl Recipient {
    /// `age1pq1…`.
    pub fn parse(text: &str) -> Result<Self, NotRecipient> {
        // It may be an identity.
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        if lower.starts_with("age-secret-key-") {
            return Err(NotRecipient::Identity);
        }
        let Some(key) = bech32::decode(RECIPIENT_PREFIX, text) else {
            return Err(match of_text(&lower) {
                Some(Resistance::Classical) => NotRecipient::Classical,
                Some(_) if !lower.starts_with("age1pq1") => NotRecipient::OtherKind,
                _ => NotRecipient::Malformed,
            });
        };
        if !hpke::is_public_key(&key) {
            return Err(NotRecipient::Malformed);
        }
        Ok(Self(key.to_vec()))
    }

    /// The file key, for this recipient only.
    pub fn wrap(&self, key: &FileKey) -> Result<Stanza, Error> {
        let (encapsulated, body) = hpke::seal(&self.0, LABEL, key.bytes())?;
        Ok(Stanza {
            kind: KIND.to_owned(),
            arguments: vec![base64(&encapsulated)],
            body,
        })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode(RECIPIENT_PREFIX, &self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        write!(f, "{}…", text.get(..20).unwrap_or(&text))
    }
}

/// Who opens a file.
pub struct Identity(Zeroizing<[u8; SEED]>);

impl Identity {
    /// A new one.
    pub fn generate() -> Result<Self, Error> {
        let mut seed = Zeroizing::new([0; SEED]);
        rand::fill(seed.as_mut()).map_err(|_| Error::Random)?;
        Ok(Self(seed))
    }

    /// `AGE-SECRET-KEY-PQ-1…`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = bech32::decode(IDENTITY_PREFIX, text)?;
        let mut seed = Zeroizing::new([0; SEED]);
        if bytes.len() != SEED {
            return None;
        }
        seed.copy_from_slice(&bytes);
        Some(Self(seed))
    }

    /// For the file that holds it, and nothing else.
    pub fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(bech32::encode(IDENTITY_PREFIX, self.0.as_ref()));
        text.make_ascii_uppercase();
        text
    }

    /// Whose files it opens.
    pub fn recipient(&self) -> Recipient {
        Recipient(hpke::public_key(&self.0).to_vec())
    }

    /// The file key, if the stanza is for this identity.
    pub fn unwrap(&self, stanza: &Stanza) -> Result<Option<FileKey>, Error> {
        if stanza.kind != KIND {
            return Ok(None);
        }
        let [encapsulated] = stanza.arguments.as_slice() else {
            return Err(Error::Header(
                "a stanza mlkem768x25519 has not one argument",
            ));
        };
        let encapsulated = from_base64(encapsulated)
            .ok_or(Error::Header("an argument is not canonical base64"))?;
        if stanza.body.len() != BODY {
            return Err(Error::Header(
                "a stanza mlkem768x25519 wraps no key of 16 bytes",
            ));
        }
        match hpke::open(&self.0, LABEL, &encapsulated, &stanza.body) {
            Ok(key) => Ok(FileKey::from_bytes(&key)),
            Err(Refusal::NotForThisKey) => Ok(None),
            Err(Refusal::LowOrder) => Err(Error::Header("an encapsulated key is of low order")),
            Err(Refusal::Length) => Err(Error::Header("an encapsulated key has not 1120 bytes")),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}
