//! JSON that decides something. An object with the same name twice means one thing to one reader and
//! another to the next (RFC 8259, section 4), so it is refused.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The value of a text in which no object has a name twice; `twice` is what is said of one that has.
pub fn read(text: &[u8], twice: fn(&str) -> String) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Seed(twice).deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// What is wrong with a text, with its place, and without the text's own words: where a form is expected, any word
/// may be a secret.
pub fn said(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    if error.classify() != serde_json::error::Category::Data {
        return whole;
    }
    // Names of the form itself.
    if ["missing field", "duplicate field"]
        .iter()
        .any(|known| whole.starts_with(known))
    {
        return whole;
    }
    let kinds = [
        "invalid type",
        "invalid value",
        "invalid length",
        "unknown field",
        "unknown variant",
    ];
    let kind = kinds.into_iter().find(|kind| whole.starts_with(kind));
    let kind = kind.unwrap_or("not what is expected");
    match whole.rsplit_once(", expected ") {
        Some((_, expected)) => format!("{kind}, expected {expected}"),
        None => format!("{kind} at line {} column {}", error.line(), error.column()),
    }
}

/// Reads the next value.
#[derive(Clone, Copy)]
struct Seed(fn(&str) -> String);

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom((self.0)(&name)));
            }
            object.insert(name, members.next_value_seed(self)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "it is only read")]
    struct Form {
        name: String,
        port: u16,
        address: Option<std::net::IpAddr>,
    }

    #[test]
    fn an_error_has_none_of_the_words_of_the_text() {
        for (text, expected) in [
            (
                r#""secret""#,
                "invalid type, expected struct Form at line 1 column 8",
            ),
            (
                r#"{"name": "a", "port": "secret"}"#,
                "invalid type, expected u16 at line 1 column 30",
            ),
            (
                r#"{"name": "a", "port": "secret, expected secret"}"#,
                "invalid type, expected u16 at line 1 column 47",
            ),
            (
                r#"{"secret": 1}"#,
                "unknown field, expected one of `name`, `port`, `address` at line 1 column 9",
            ),
            (
                r#"{"name": "a"}"#,
                "missing field `port` at line 1 column 13",
            ),
            (
                r#"{"name": "a", "name": "secret"}"#,
                "duplicate field `name` at line 1 column 20",
            ),
            (
                r#"{"name": "a", "port": 1, "address": "secret"}"#,
                "not what is expected at line 1 column 44",
            ),
            ("{secret", "key must be a string at line 1 column 2"),
            (
                r#"{"name": "secret"#,
                "EOF while parsing a string at line 1 column 16",
            ),
        ] {
            let error = serde_json::from_str::<Form>(text).unwrap_err();
            assert_eq!(said(&error), expected, "{text}");
        }
    }
}
