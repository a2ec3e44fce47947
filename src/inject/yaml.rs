//! Reading YAML as `kubectl` reads it: YAML 1.1 scalars (`0644` is octal, `yes` is a boolean), aliases
//! and merge keys. serde-based readers do not show whether a scalar was quoted, and turn `0644` into text.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};
use thiserror::Error;

use crate::redact::{Shown, scrub};

/// Deeper documents are refused; a pod needs about fifteen levels.
const MAX_DEPTH: usize = 100;
/// More nodes, aliases expanded, are refused.
const MAX_NODES: usize = 1_000_000;

/// Why a document cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum YamlError {
    /// Not YAML.
    #[error("not valid YAML: {}", scrub(&.0.to_string()))]
    Syntax(#[from] saphyr_parser::ScanError),
    /// YAML allows what JSON does not.
    #[error("{0} in YAML cannot be a Kubernetes object")]
    NotJson(&'static str),
    /// kubectl would take one of the two, silently.
    #[error("key {0:?} occurs twice in one mapping")]
    DuplicateKey(Shown),
    /// Too deep or too large.
    #[error("the document is too {0}")]
    TooBig(&'static str),
}

/// Reads one document; an empty one is `Value::Null`.
pub(crate) fn read(text: &str) -> Result<Value, YamlError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        builder.take(event?.0)?;
    }
    Ok(builder.root.unwrap_or(Value::Null))
}

#[derive(Default)]
struct Builder {
    stack: Vec<Open>,
    anchors: HashMap<usize, Value>,
    nodes: usize,
    root: Option<Value>,
}

struct Open {
    anchor: usize,
    node: Node,
}

enum Node {
    List(Vec<Value>),
    /// The finished pairs, the merge sources, and the key that waits for its value.
    Mapping {
        map: Map<String, Value>,
        merged: Vec<Value>,
        key: Option<String>,
    },
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|t| t.suffix == "str") || style != ScalarStyle::Plain;
                if self.awaits_key() && text != "<<" {
                    self.count(1)?;
                    return self.key(text.into_owned(), anchor);
                }
                let value = if is_text {
                    Value::String(text.into_owned())
                } else {
                    resolve(&text)
                };
                self.finish(value, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Node::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(
                anchor,
                Node::Mapping {
                    map: Map::new(),
                    merged: Vec::new(),
                    key: None,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let value = self
                    .anchors
                    .get(&anchor)
                    .cloned()
                    .ok_or(YamlError::NotJson("an alias to an enclosing node"))?;
                self.count(size(&value))?;
                self.finish(value, 0)
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(YamlError::NotJson("a second document here"))
            }
            _ => Ok(()),
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(
            self.stack.last(),
            Some(Open {
                node: Node::Mapping { key: None, .. },
                ..
            })
        )
    }

    fn key(&mut self, text: String, anchor: usize) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchors.insert(anchor, Value::String(text.clone()));
        }
        if let Some(Open {
            node: Node::Mapping { map, key, .. },
            ..
        }) = self.stack.last_mut()
        {
            if map.contains_key(&text) {
                return Err(YamlError::DuplicateKey(text.into()));
            }
            *key = Some(text);
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, node: Node) -> Result<(), YamlError> {
        if self.awaits_key() {
            return Err(YamlError::NotJson("a mapping key that is not text"));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(YamlError::TooBig("deep"));
        }
        self.stack.push(Open { anchor, node });
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.stack.pop() else {
            return Ok(());
        };
        let value = match open.node {
            Node::List(items) => Value::Array(items),
            Node::Mapping { map, merged, .. } => Value::Object(merge(map, merged)),
        };
        self.finish(value, open.anchor)
    }

    fn finish(&mut self, value: Value, anchor: usize) -> Result<(), YamlError> {
        self.count(1)?;
        if anchor != 0 {
            self.anchors.insert(anchor, value.clone());
        }
        match self.stack.last_mut().map(|open| &mut open.node) {
            None => self.root = Some(value),
            Some(Node::List(items)) => items.push(value),
            Some(Node::Mapping { map, merged, key }) => match key.take() {
                Some(key) if key == "<<" => merged.push(value),
                Some(key) => {
                    map.insert(key, value);
                }
                None => {
                    let text = value
                        .as_str()
                        .ok_or(YamlError::NotJson("a mapping key that is not text"))?;
                    *key = Some(text.to_owned());
                }
            },
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            Err(YamlError::TooBig("large"))
        } else {
            Ok(())
        }
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// Merge keys add what the mapping itself does not say (YAML 1.1 type `merge`).
fn merge(mut map: Map<String, Value>, sources: Vec<Value>) -> Map<String, Value> {
    for source in sources {
        let maps = match source {
            Value::Array(items) => items,
            other => vec![other],
        };
        for (key, value) in maps.iter().filter_map(Value::as_object).flatten() {
            map.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    map
}

/// The type of a plain scalar, as the YAML library of kubectl decides it.
pub(crate) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    integer(&digits.replace('_', ""), text.starts_with('-')).or_else(|| float(text))
}

fn integer(digits: &str, negative: bool) -> Option<Number> {
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
    if negative {
        return 0_i64.checked_sub_unsigned(value).map(Number::from);
    }
    Some(Number::from(value))
}

fn float(text: &str) -> Option<Number> {
    let valid = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    if !text.chars().all(valid) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    if value.fract() == 0.0 && value.abs() < 9e15 && !text.contains(['.', 'e', 'E']) {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        read(text).unwrap_or_else(|error| json!(error.to_string()))
    }

    #[test]
    fn plain_scalars_have_the_types_kubectl_gives_them() {
        let text = "{a: 0644, b: '0644', c: yes, d: \"yes\", e: 1_000, f: 0x1F, g: 1.50, h: ~, i: 1e3, j: -5, k: 12:30:45, l: v1.2, m: .5, n: 0o17, o: +7, p: 08, q: 1.2.3}";
        assert_eq!(
            value(text),
            json!({
                "a": 420, "b": "0644", "c": true, "d": "yes", "e": 1000, "f": 31, "g": 1.5, "h": null, "i": 1000.0,
                "j": -5, "k": "12:30:45", "l": "v1.2", "m": 0.5, "n": 15, "o": 7, "p": 8, "q": "1.2.3"
            })
        );
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let text = "base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\nlist: [*b]\n";
        assert_eq!(
            value(text),
            json!({"base": {"x": 1, "y": 2}, "other": {"y": 3, "x": 1}, "list": [{"x": 1, "y": 2}]})
        );
    }

    #[test]
    fn numeric_and_boolean_keys_are_text() {
        assert_eq!(value("{1: a, true: b}"), json!({"1": "a", "true": "b"}));
    }

    #[test]
    fn what_is_no_kubernetes_object_is_refused() {
        assert!(matches!(
            read("a: 1\na: 2\n"),
            Err(YamlError::DuplicateKey(_))
        ));
        assert!(matches!(read("? [a]\n: 1\n"), Err(YamlError::NotJson(_))));
        assert!(matches!(read("a: [\n"), Err(YamlError::Syntax(_))));
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(matches!(read(&deep), Err(YamlError::TooBig(_))));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        use std::fmt::Write as _;
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let alias = format!("*a{}, ", n - 1).repeat(10);
            let _ = writeln!(text, "a{n}: &a{n} [{}]", alias.trim_end_matches(", "));
        }
        assert!(matches!(read(&text), Err(YamlError::TooBig("large"))));
    }
}
