//! Reading YAML as `kubectl` reads it: YAML 1.1 scalars (`0644` is octal, `yes` is a boolean), explicit
//! tags, aliases and merge keys. What kubectl would drop without a word is refused.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::{Map, Value};

use super::line_breaks;
use super::scalar::Scalar;
use super::yaml_error::YamlError;

/// Deeper documents are refused; a pod needs about fifteen levels.
const MAX_DEPTH: usize = 100;
/// More nodes, aliases expanded, are refused.
const MAX_NODES: usize = 1_000_000;
/// More bytes in copies, which anchors and aliases make, are refused.
const MAX_COPIED: usize = 64 << 20;
/// How often a document is read again because of a tab behind a colon.
const MAX_TABS: usize = 1_000;
/// What the parser says of a tab between `:` and a letter or digit.
const TAB: &str = "':' must be followed by a valid YAML whitespace";

/// Reads one document; an empty one is `Value::Null`.
pub(crate) fn read(text: &str) -> Result<Value, YamlError> {
    line_breaks::refuse(text, 0)?;
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
    copied: usize,
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
                let enclosing = YamlError::NotJson("an alias to an enclosing node");
                let (nodes, bytes) = self.anchors.get(&anchor).map_or((0, 0), size);
                self.count(nodes)?;
                self.count_copied(bytes)?;
                let value = self.anchors.get(&anchor).cloned().ok_or(enclosing)?;
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
            self.keep(anchor, &scalar.clone().value()?)?;
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
            self.keep(anchor, &value)?;
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

    fn keep(&mut self, anchor: usize, value: &Value) -> Result<(), YamlError> {
        self.count_copied(size(value).1)?;
        self.anchors.insert(anchor, value.clone());
        Ok(())
    }

    fn count_copied(&mut self, bytes: usize) -> Result<(), YamlError> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > MAX_COPIED {
            Err(YamlError::TooBig("large"))
        } else {
            Ok(())
        }
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

/// Nodes and bytes of a value, as much as a copy of it takes.
fn size(value: &Value) -> (usize, usize) {
    let node = (1, size_of::<Value>());
    let sum = |(nodes, bytes), (more, text)| (nodes + more, bytes + text);
    match value {
        Value::String(text) => (1, node.1 + text.len()),
        Value::Array(items) => items.iter().map(size).fold(node, sum),
        Value::Object(map) => {
            let keys = map.keys().map(|key| (0, key.len()));
            map.values().map(size).chain(keys).fold(node, sum)
        }
        _ => node,
    }
}

fn alias_key(value: Value) -> Result<String, YamlError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Scalar::plain(&value.to_string()).key(),
        _ => Err(YamlError::NotJson("a mapping key that is not text")),
    }
}

/// Of several sources the first wins. What precedes `<<` in the mapping does not win: go-yaml v2 reads
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
mod tests;
