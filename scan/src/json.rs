//! JSON of which every key counts: one that stands twice in an object is refused, where serde_json keeps the last.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Of a key that an error names, at most.
const NAMED: usize = 63;

/// Reads a text. An error names the line and, of a doubled key, its name.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(Unique(value)) => Ok(value),
        // Only a doubled key is an error of this kind: everything else that is JSON is taken.
        Err(error) if error.is_data() => {
            let said = error.to_string();
            let (why, _) = said.split_once(" at line ").unwrap_or((&said, ""));
            Err(format!("line {}: {why}", error.line()))
        }
        Err(error) => Err(format!("line {}", error.line())),
    }
}

struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if values.contains_key(&key) {
                return Err(de::Error::custom(format!(
                    "{} stands twice in an object: leave one of them",
                    named(&key)
                )));
            }
            let Unique(value) = map.next_value()?;
            values.insert(key, value);
        }
        Ok(values.into())
    }
}

/// The key, if it looks like one.
fn named(key: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_-".contains(c);
    if key.len() <= NAMED && !key.is_empty() && key.chars().all(is_plain) {
        format!("`{key}`")
    } else {
        "a key".to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::kubectl::read;

    /// Which of two is meant nobody knows, and the other would go unexamined.
    #[test]
    fn a_key_that_stands_twice_in_an_object_is_refused() {
        let item = |more: &str| format!(r#"{{"items": [{{"kind": "Service"{more}}}]}}"#);
        assert!(read(&item("")).is_ok());
        for (text, key) in [
            (item(r#", "spec": {}, "spec": {}"#), "`spec`"),
            (item(r#", "\u006bind": "Ingress""#), "`kind`"),
            (r#"{"items": [], "items": []}"#.to_owned(), "`items`"),
            (
                item(r#", "spec": {"ports": [{"a b": 1, "a b": 2}]}"#),
                "a key",
            ),
        ] {
            let why = read(&text).unwrap_err();
            let said = format!("no JSON of kubectl: line 1: {key} stands twice in an object");
            assert!(why.starts_with(&said), "{why}");
        }
        assert_eq!(read("{\n").unwrap_err(), "no JSON of kubectl: line 2");
    }
}
