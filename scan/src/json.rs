//! JSON of which every key counts: one that stands twice in an object is refused, where serde_json keeps the last.

use serde_json::Value;

/// Of a key that an error names, at most.
const NAMED: usize = 63;

/// Reads a text. An error names the line and, of a doubled key, its name.
pub(crate) fn read(text: &str) -> Result<Value, String> {
    match hybridge_json::read(text.as_bytes(), twice) {
        Ok(value) => Ok(value),
        // Only a doubled key is an error of this kind: everything else that is JSON is taken.
        Err(error) if error.is_data() => {
            let said = error.to_string();
            let (why, _) = said.split_once(" at line ").unwrap_or((&said, ""));
            Err(format!("line {}: {why}", error.line()))
        }
        Err(error) => Err(format!("line {}", error.line())),
    }
}

fn twice(key: &str) -> String {
    let key = named(key);
    format!("{key} stands twice in an object: leave one of them")
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
