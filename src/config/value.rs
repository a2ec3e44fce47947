//! A value as it was written, and its readings: number, duration, size, choice, list.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use strum::VariantNames;

use super::alias;
use super::error::Error;
use super::key::Key;
use super::origin::Origin;
use super::size::parse_size;
use super::value_type::ValueType;
use crate::redact::{Secret, Shown};
use crate::suggest::suggest_or_alias;
use crate::time::parse_duration;
use crate::tls::credentials::{check_token, is_token};
use crate::traces::Sample;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Located {
    /// What it says.
    pub(super) raw: Raw,
    /// Where it says so.
    pub(super) origin: Origin,
}

/// What a value says, as far as its place tells types apart.
#[derive(Clone)]
pub(super) enum Raw {
    /// Of a flag, a variable or the table of defaults: any form, to be read.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Number(i64),
    /// A TOML boolean.
    Switch(bool),
    /// A TOML array of strings.
    List(Vec<String>),
    /// Any other TOML, as written.
    Other(String),
}

impl Located {
    /// A text of the operator.
    pub(super) fn text(&self, key: Key) -> Result<&str, Error> {
        match &self.raw {
            Raw::Word(text) | Raw::Text(text) if is_key(text) => Err(self.key_text(key, text)),
            Raw::Word(text) | Raw::Text(text) if is_uri_for_file(text, key) => {
                Err(Error::Unusable {
                    at: self.origin.clone(),
                    problem: NOT_IN_TOKEN.to_owned(),
                })
            }
            Raw::Word(text) | Raw::Text(text) if is_printable(text, key) => Ok(text.trim()),
            _ => Err(self.mismatch(key)),
        }
    }

    /// The file of a private key, or the URI of one in a token.
    pub(super) fn private_key(&self, key: Key) -> Result<PathBuf, Error> {
        let path = PathBuf::from(self.text(key)?);
        if is_token(&path) {
            check_token(self.text(key)?).map_err(|problem| Error::Unusable {
                at: self.origin.clone(),
                problem,
            })?;
        }
        Ok(path)
    }

    /// Whether a text that is split at its commas may be one name: in a file there are lists for several, and elsewhere
    /// nobody who means several writes a space.
    pub(super) fn may_hold_a_comma(&self) -> bool {
        match &self.raw {
            Raw::Text(text) => text.contains(','),
            Raw::Word(text) => text.contains(", "),
            _ => false,
        }
    }

    /// A list; a text is split at its commas.
    pub(super) fn list(&self, key: Key) -> Result<Vec<String>, Error> {
        match &self.raw {
            Raw::Word(text) | Raw::Text(text) if is_key(text) => Err(self.key_text(key, text)),
            Raw::List(items) if items.iter().all(|item| is_printable(item, key)) => {
                Ok(items.iter().map(|item| item.trim().to_owned()).collect())
            }
            Raw::Word(text) | Raw::Text(text) if is_printable(text, key) => {
                Ok(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
            _ => Err(self.mismatch(key)),
        }
    }

    /// A number inside the bounds of the key's type.
    pub(super) fn count<T: TryFrom<u64>>(&self, key: Key) -> Result<T, Error> {
        let number = match &self.raw {
            Raw::Number(number) => u64::try_from(*number).ok(),
            Raw::Word(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| matches!(key.value_type(), ValueType::Count(least, most) if (least..=most).contains(number)))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| self.mismatch(key))
    }

    /// A share of the whole.
    pub(super) fn ratio(&self, key: Key) -> Result<Sample, Error> {
        let text = match &self.raw {
            Raw::Number(number) => number.to_string(),
            Raw::Word(text) | Raw::Other(text) => text.trim().to_owned(),
            _ => String::new(),
        };
        Sample::parse(&text).ok_or_else(|| self.mismatch(key))
    }

    /// true or false.
    pub(super) fn switch(&self, key: Key) -> Result<bool, Error> {
        match &self.raw {
            Raw::Switch(on) => Ok(*on),
            Raw::Word(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(self.mismatch(key)),
            },
            _ => Err(self.mismatch(key)),
        }
    }

    /// A duration; above zero unless the key's type is a delay.
    pub(super) fn duration(&self, key: Key) -> Result<Duration, Error> {
        self.text(key)
            .ok()
            .and_then(parse_duration)
            .filter(|duration| !duration.is_zero() || key.value_type() == ValueType::Delay)
            .ok_or_else(|| self.mismatch(key))
    }

    /// A duration, or `None` for the word `none`.
    pub(super) fn timeout(&self, key: Key) -> Result<Option<Duration>, Error> {
        if self.text(key).is_ok_and(|text| text == "none") {
            return Ok(None);
        }
        self.duration(key).map(Some)
    }

    /// Bytes.
    pub(super) fn size(&self, key: Key) -> Result<usize, Error> {
        self.text(key)
            .ok()
            .and_then(parse_size)
            .filter(|size| matches!(key.value_type(), ValueType::Size(least, most) if (least..=most).contains(size)))
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| self.mismatch(key))
    }

    /// One of the words of the key's type.
    pub(super) fn choice<T: FromStr + VariantNames>(&self, key: Key) -> Result<T, Error> {
        let text = self.text(key)?;
        let value_type = key.value_type();
        // The words of a key may be fewer than those of its type.
        let words = match value_type {
            ValueType::Choice(words) => words,
            _ => T::VARIANTS,
        };
        let parsed = text.parse().ok().filter(|_| words.contains(&text));
        parsed.ok_or_else(|| Error::WrongType {
            at: self.origin.clone(),
            written: text.into(),
            value_type,
            nearest: suggest_or_alias(text, words.iter().copied(), alias::of_values(key)),
        })
    }

    /// The error of a value that is not of its key's type.
    pub(super) fn mismatch(&self, key: Key) -> Error {
        Error::WrongType {
            at: self.origin.clone(),
            written: self.written(),
            value_type: key.value_type(),
            nearest: None,
        }
    }

    fn key_text(&self, key: Key, text: &str) -> Error {
        Error::KeyText {
            at: self.origin.clone(),
            value_type: key.value_type(),
            what: Secret::of(text).unwrap_or(Secret::Piece),
            bytes: text.len(),
        }
    }

    fn written(&self) -> Shown {
        match &self.raw {
            Raw::Word(text) | Raw::Other(text) => text.as_str().into(),
            Raw::Text(text) => format!("\"{text}\"").into(),
            Raw::Number(number) => number.to_string().into(),
            Raw::Switch(on) => on.to_string().into(),
            Raw::List(items) => format!("{items:?}").into(),
        }
    }
}

/// What else than a private key is wanted of a token.
const NOT_IN_TOKEN: &str = "takes the path of a file, not a pkcs11: URI: of a token only private keys of listeners are used (`listener.tls.key`); write this to a file";

/// Whether a file is to be named and it is a URI of a token, in which only private keys of listeners are.
fn is_uri_for_file(text: &str, key: Key) -> bool {
    key.value_type() == ValueType::Path
        && key != Key::PrivateKey
        && is_token(Path::new(text.trim()))
}

/// Whether a value is a key or certificate as a whole: it is refused before anything reads it.
fn is_key(text: &str) -> bool {
    Secret::of(text).is_some_and(Secret::is_whole)
}

/// A value may be a key that somebody handed over in the wrong way.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<value>")
    }
}

/// Whether there is something to read, in one line: values are repeated in messages and logs.
/// Probes are JSON and may have several.
fn is_printable(text: &str, key: Key) -> bool {
    let any_line = matches!(key, Key::Probes);
    !text.trim().is_empty() && (any_line || !text.trim().contains(char::is_control))
}
