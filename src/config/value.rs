//! A value as it was written, and its readings: number, duration, size, choice, list.

use std::fmt;
use std::time::Duration;

use super::alias;
use super::error::{Error, Origin};
use super::key::{Form, Key};
use crate::redact::{Secret, Shown};
use crate::suggest::suggest_or_alias;
use crate::time::{largest_unit, parse_duration, scaled};

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Given {
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

impl Given {
    /// A text of the operator.
    pub(super) fn text(&self, key: Key) -> Result<&str, Error> {
        match &self.raw {
            Raw::Word(text) | Raw::Text(text) if is_key(text) => Err(self.key_text(key, text)),
            Raw::Word(text) | Raw::Text(text) if is_printable(text, key) => Ok(text.trim()),
            _ => Err(self.mismatch(key)),
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

    /// A number inside the bounds of the key's form.
    pub(super) fn count<T: TryFrom<u64>>(&self, key: Key) -> Result<T, Error> {
        let number = match &self.raw {
            Raw::Number(number) => u64::try_from(*number).ok(),
            Raw::Word(text) => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| matches!(key.form(), Form::Count(least, most) if (least..=most).contains(number)))
            .and_then(|number| T::try_from(number).ok())
            .ok_or_else(|| self.mismatch(key))
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

    /// A duration; above zero unless the key's form is a delay.
    pub(super) fn duration(&self, key: Key) -> Result<Duration, Error> {
        self.text(key)
            .ok()
            .and_then(parse_duration)
            .filter(|duration| !duration.is_zero() || key.form() == Form::Delay)
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
            .filter(|size| matches!(key.form(), Form::Size(least, most) if (least..=most).contains(size)))
            .and_then(|size| usize::try_from(size).ok())
            .ok_or_else(|| self.mismatch(key))
    }

    /// One of `meanings`, which stand in the order of the words in the key's form.
    pub(super) fn choice<T: Copy>(&self, key: Key, meanings: &[T]) -> Result<T, Error> {
        let Form::Choice(words) = key.form() else {
            return Err(self.mismatch(key));
        };
        let text = self.text(key)?;
        words
            .iter()
            .position(|word| *word == text)
            .and_then(|index| meanings.get(index).copied())
            .ok_or_else(|| Error::Form {
                at: self.origin.clone(),
                written: text.into(),
                form: key.form(),
                nearest: suggest_or_alias(text, words.iter().copied(), alias::of_values(key)),
            })
    }

    /// The error of a value that is not of its key's form.
    pub(super) fn mismatch(&self, key: Key) -> Error {
        Error::Form {
            at: self.origin.clone(),
            written: self.written(),
            form: key.form(),
            nearest: None,
        }
    }

    fn key_text(&self, key: Key, text: &str) -> Error {
        Error::KeyText {
            at: self.origin.clone(),
            form: key.form(),
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

const SIZE_UNITS: [(&str, u64); 4] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

fn parse_size(text: &str) -> Option<u64> {
    scaled(text, &SIZE_UNITS)
}

/// The inverse: the largest unit that says it exactly.
pub(super) fn size_text(bytes: u64) -> String {
    largest_unit(bytes, &SIZE_UNITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_binary_unit() {
        assert_eq!(parse_size("64KiB"), Some(65536));
        assert_eq!(size_text(65536), "64KiB");
        assert_eq!(size_text(1025), "1025B");
        for text in ["64", "64KB", "64kib", "KiB", "18446744073709551615GiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }
}
