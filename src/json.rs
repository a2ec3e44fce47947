//! JSON that decides about security: no object has a name twice.

use serde_json::Value;

use crate::redact::Shown;

pub(crate) use hybridge_json::said;

/// The value of a text in which no object has a name twice.
pub(crate) fn read(text: &[u8]) -> serde_json::Result<Value> {
    hybridge_json::read(text, |name| {
        let name = Shown::from(name);
        format!("name {name:?} occurs twice in one object")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn it_reads_as_serde_json_does() {
        for text in [
            r#"{"b": [1, -2, 1.5, 18446744073709551615, true, null, "\u00fc\n"], "a": {"b": {}, "": []}}"#,
            "[]",
            "null",
            " \"x\" ",
        ] {
            let expected: Value = serde_json::from_str(text).unwrap();
            let read = read(text.as_bytes()).unwrap();
            assert_eq!(read, expected);
            assert_eq!(read.to_string(), expected.to_string(), "the order");
        }
        for text in ["", "{", "{} x", "{\"a\": 1,}"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(read(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"a": 1, "a": 2}"#,
            r#"{"b": {"c": [{"a": 1, "\u0061": 1}]}}"#,
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with("name \"a\" occurs twice"), "{error}");
        }
    }
}
