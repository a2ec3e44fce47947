//! The type of a YAML scalar, as `kubectl` decides it (go-yaml v2: YAML 1.1 without numbers in base 60).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::Tag;
use serde_json::{Number, Value};

use super::yaml_error::YamlError;

/// Prefix of the tags that YAML itself defines; `!!int` is short for one of them.
const CORE: &str = "tag:yaml.org,2002:";

/// A scalar with its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    /// Above what `i64` holds.
    Large(u64),
    Float(f64),
    Text(String),
}

impl Scalar {
    /// Whether a plain `<<` with this tag merges.
    pub(crate) fn merges(tag: Option<&Tag>) -> bool {
        tag.is_some_and(|tag| tag.handle == CORE && tag.suffix == "merge")
    }

    /// A scalar with an explicit tag. The type that its text has must fit the tag, quoted or not; tags that
    /// YAML does not define make it text.
    pub(crate) fn tagged(text: &str, tag: &Tag) -> Result<Self, YamlError> {
        let full = format!("{}{}", tag.handle, tag.suffix);
        let Some(name) = full.strip_prefix(CORE) else {
            return Ok(Self::Text(text.to_owned()));
        };
        let resolved = Self::plain(text);
        match (name, resolved) {
            ("int", found @ (Self::Integer(_) | Self::Large(_)))
            | ("float", found @ Self::Float(_))
            | ("bool", found @ Self::Bool(_))
            | ("null", found @ Self::Null) => Ok(found),
            ("float", Self::Integer(value)) => Ok(Self::Float(value as f64)),
            ("int", _) => Err(YamlError::Tag("!!int")),
            ("float", _) => Err(YamlError::Tag("!!float")),
            ("bool", _) => Err(YamlError::Tag("!!bool")),
            ("null", _) => Err(YamlError::Tag("!!null")),
            ("timestamp", _) if !is_date(text) => Err(YamlError::Tag("!!timestamp")),
            ("binary", _) => binary(text),
            _ => Ok(Self::Text(text.to_owned())),
        }
    }

    /// A scalar without quotes and without a tag.
    pub(crate) fn plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Null,
            "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
                Self::Bool(true)
            }
            "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off"
            | "OFF" => Self::Bool(false),
            ".nan" | ".NaN" | ".NAN" => Self::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Self::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Self::Float(f64::NEG_INFINITY),
            _ => number(text).unwrap_or_else(|| Self::Text(text.to_owned())),
        }
    }

    /// As a value in JSON.
    pub(crate) fn value(self) -> Result<Value, YamlError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Integer(value) => Value::Number(value.into()),
            Self::Large(value) => Value::Number(value.into()),
            Self::Float(value) => Value::Number(json_number(value)?),
            Self::Text(text) => Value::String(text),
        })
    }

    /// As a key in JSON, which is always text.
    pub(crate) fn key(self) -> Result<String, YamlError> {
        Ok(match self {
            Self::Null => return Err(YamlError::NotJson("a mapping key that is null")),
            Self::Large(_) => return Err(YamlError::NotJson("a mapping key above 2^63")),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => float_key(value as f32),
            Self::Text(text) => text,
        })
    }
}

/// JSON tells whole numbers and others apart by their digits only: `8e3` is the integer 8000.
fn json_number(value: f64) -> Result<Number, YamlError> {
    if value.abs() < 1e21
        && let Ok(whole) = value.to_string().parse::<i64>()
    {
        return Ok(whole.into());
    }
    Number::from_f64(value).ok_or(YamlError::NotJson("a number that is infinite or none"))
}

/// The shortest digits of a single precision number, with an exponent from 10^6 on and below 10^-4 (Go's
/// format `g`).
fn float_key(value: f32) -> String {
    if value.is_nan() {
        return ".nan".into();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-.inf" } else { ".inf" }.into();
    }
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(power @ (..-4 | 6..)) => {
            let sign = if power < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", power.unsigned_abs())
        }
        _ => value.to_string(),
    }
}

/// Base64 with line ends and nothing else between (Go's `encoding/base64`).
fn binary(text: &str) -> Result<Scalar, YamlError> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| YamlError::Tag("!!binary"))?;
    let text = String::from_utf8(bytes);
    text.map(Scalar::Text)
        .map_err(|_| YamlError::NotJson("!!binary that is not UTF-8 text"))
}

/// Whether text begins as a date does.
fn is_date(text: &str) -> bool {
    let year = text.split('-').next().unwrap_or_default();
    year.len() == 4 && text.len() > 4 && year.bytes().all(|b| b.is_ascii_digit())
}

fn number(text: &str) -> Option<Scalar> {
    if let Some(fraction) = text.strip_prefix('.') {
        let between = fraction.split('_').all(|part| !part.is_empty());
        return float(&text.replace('_', "")).filter(|_| between);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let text = text.replace('_', "");
    integer(&text)
        .or_else(|| float(&text))
        .or_else(|| signed_binary(&text))
}

/// Go's `ParseInt` with base 0, then `ParseUint`.
fn integer(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (radix, body) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some(two) if two.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    if body.starts_with(['+', '-']) {
        return None;
    }
    let value = u64::from_str_radix(body, radix).ok()?;
    if text.starts_with('-') {
        return 0_i64.checked_sub_unsigned(value).map(Scalar::Integer);
    }
    match i64::try_from(value) {
        Ok(value) => Some(Scalar::Integer(value)),
        Err(_) => (!text.starts_with('+')).then_some(Scalar::Large(value)),
    }
}

/// go-yaml reads a sign behind `0b`, too.
fn signed_binary(text: &str) -> Option<Scalar> {
    let digits = text.strip_prefix("0b")?;
    i64::from_str_radix(digits, 2).ok().map(Scalar::Integer)
}

fn float(text: &str) -> Option<Scalar> {
    let valid = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    if !text.chars().all(valid) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(Scalar::Float(value))
}
