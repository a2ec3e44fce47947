//! Reading YAML as `kubectl` reads it: YAML 1.1 scalars (`0644` is octal, `yes` is a boolean), explicit
//! tags, aliases and merge keys. What kubectl would drop without a word is refused.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Value};
use thiserror::Error;

use super::manifest::scalar::Scalar;
use crate::redact::{Shown, scrub};

/// Deeper documents are refused; a pod needs about fifteen levels.
const MAX_DEPTH: usize = 100;
/// More nodes, aliases expanded, are refused.
const MAX_NODES: usize = 1_000_000;
/// How often a document is read again because of a tab behind a colon.
const MAX_TABS: usize = 1_000;
/// What the parser says of a tab between `:` and a letter or digit.
const TAB: &str = "':' must be followed by a valid YAML whitespace";

/// Why a document cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum YamlError {
    /// Not YAML.
    #[error("not valid YAML: {}", scrub(&.0.to_string()))]
    Syntax(#[from] ScanError),
    /// YAML allows what JSON does not.
    #[error("{0} in YAML cannot be a Kubernetes object")]
    NotJson(&'static str),
    /// kubectl would take one of the two, silently.
    #[error("key {0:?} occurs twice in one mapping")]
    DuplicateKey(Shown),
    /// A text that its tag does not fit.
    #[error("{0} in YAML stands before a text that is none")]
    Tag(&'static str),
    /// Too deep or too large.
    #[error("the document is too {0}")]
    TooBig(&'static str),
}

/// Reads one document; an empty one is `Value::Null`.
pub(crate) fn read(text: &str) -> Result<Value, YamlError> {
    let mut text = Cow::Borrowed(text);
    let mut tabs = 0;
    loop {
        let error = match read_strictly(&text) {
            Err(YamlError::Syntax(error)) => error,
            result => return result,
        };
        tabs += 1;
        match without_tab(&text, &error).filter(|_| tabs <= MAX_TABS) {
            Some(spaced) => text = Cow::Owned(spaced),
            None => return Err(error.into()),
        }
    }
}

fn read_strictly(text: &str) -> Result<Value, YamlError> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        builder.take(event?.0)?;
    }
    Ok(builder.root.unwrap_or(Value::Null))
}

/// The text with spaces for the tabs that the parser refuses, which YAML allows between tokens (YAML 1.2.2,
/// section 6.2). The parser has found a token there, so that no quoted or block text changes.
fn without_tab(text: &str, error: &ScanError) -> Option<String> {
    if error.info() != TAB {
        return None;
    }
    let (end, _) = text.char_indices().nth(error.marker().index())?;
    let before = text[..end].trim_end_matches([' ', '\t']);
    let blanks = &text[before.len()..end];
    blanks
        .contains('\t')
        .then(|| format!("{before}{}{}", " ".repeat(blanks.len()), &text[end..]))
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
    Mapping(Mapping),
}

#[derive(Default)]
struct Mapping {
    map: Map<String, Value>,
    /// The keys that the mapping itself has, as opposed to those it merged.
    own: HashSet<String>,
    /// What waits for its value.
    key: Option<Key>,
}

enum Key {
    Text(String),
    /// `<<`: the value is merged (YAML 1.1 type `merge`).
    Merge,
}

impl Builder {
    fn take(&mut self, event: Event<'_>) -> Result<(), YamlError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref())
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Node::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(anchor, Node::Mapping(Mapping::default())),
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

    fn scalar(
        &mut self,
        text: Cow<'_, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), YamlError> {
        let is_plain = style == ScalarStyle::Plain && tag.is_none();
        if let Some(mapping) = self.awaits_key()
            && text == "<<"
            && (is_plain || Scalar::merges(tag))
        {
            mapping.key = Some(Key::Merge);
            return self.count(1);
        }
        let scalar = match tag {
            Some(tag) => Scalar::tagged(&text, tag)?,
            None if is_plain => Scalar::plain(&text),
            None => Scalar::Text(text.into_owned()),
        };
        if self.awaits_key().is_none() {
            return self.finish(scalar.value()?, anchor);
        }
        self.count(1)?;
        if anchor != 0 {
            self.anchors.insert(anchor, scalar.clone().value()?);
        }
        self.key(scalar.key()?)
    }

    fn awaits_key(&mut self) -> Option<&mut Mapping> {
        match &mut self.stack.last_mut()?.node {
            Node::Mapping(mapping) if mapping.key.is_none() => Some(mapping),
            _ => None,
        }
    }

    fn key(&mut self, text: String) -> Result<(), YamlError> {
        if let Some(mapping) = self.awaits_key() {
            if !mapping.own.insert(text.clone()) {
                return Err(YamlError::DuplicateKey(text.into()));
            }
            mapping.key = Some(Key::Text(text));
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, node: Node) -> Result<(), YamlError> {
        if self.awaits_key().is_some() {
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
            Node::Mapping(mapping) => Value::Object(mapping.map),
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
            Some(Node::Mapping(mapping)) => match mapping.key.take() {
                Some(Key::Merge) => merge(&mut mapping.map, value)?,
                Some(Key::Text(key)) => {
                    mapping.map.insert(key, value);
                }
                // An alias: the anchored scalar's text has its type already.
                None => return self.key(alias_key(value)?),
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

fn alias_key(value: Value) -> Result<String, YamlError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Scalar::plain(&value.to_string()).key(),
        _ => Err(YamlError::NotJson("a mapping key that is not text")),
    }
}

/// Of several sources the first wins. What stands before `<<` in the mapping does not win: go-yaml v2 reads
/// in order, and the object is written out with the values that kubectl would have sent.
fn merge(map: &mut Map<String, Value>, source: Value) -> Result<(), YamlError> {
    let sources = match source {
        Value::Array(items) => items,
        other => vec![other],
    };
    for source in sources.into_iter().rev() {
        let Value::Object(source) = source else {
            return Err(YamlError::NotJson("<< with what is not a mapping"));
        };
        map.extend(source);
    }
    Ok(())
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
        let text = "{a: 0644, b: '0644', c: yes, d: \"yes\", e: 1_000, f: 0x1F, g: 1.50, h: ~, i: 1e3, j: -5, k: 12:30:45, l: v1.2, m: .5, r: 0o17, o: +7, p: 08, q: 1.2.3}";
        assert_eq!(
            value(text),
            json!({
                "a": 420, "b": "0644", "c": true, "d": "yes", "e": 1000, "f": 31, "g": 1.5, "h": null, "i": 1000,
                "j": -5, "k": "12:30:45", "l": "v1.2", "m": 0.5, "r": 15, "o": 7, "p": 8, "q": "1.2.3"
            })
        );
    }

    #[test]
    fn aliases_and_merge_keys_are_expanded() {
        let text = "base: &b {x: 1, z: 2}\nother:\n  <<: *b\n  z: 3\nlist: [*b]\n";
        assert_eq!(
            value(text),
            json!({"base": {"x": 1, "z": 2}, "other": {"z": 3, "x": 1}, "list": [{"x": 1, "z": 2}]})
        );
    }

    #[test]
    fn tabs_behind_colons_are_white_space() {
        let pairs: String = (0..300).map(|n| format!("k{n}:\tv{n}\n")).collect();
        assert_eq!(value(&pairs)["k299"], "v299");
        let text = "k: |\n  x:\ty\né: \"a:\tb\"\nl:\t \t8000 # n:\tm\n";
        assert_eq!(
            value(text),
            json!({"k": "x:\ty\n", "é": "a:\tb", "l": 8000})
        );
        let many: String = (0..=MAX_TABS).map(|n| format!("k{n}:\tv\n")).collect();
        assert!(matches!(read(&many), Err(YamlError::Syntax(_))));
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
