//! TOML text into layers: one for the process, one for each listener, every value with its line.

use std::sync::Arc;

use memchr::memchr_iter;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::origin::Origin;
use super::syntax::explained;
use super::table::{self, Table};
use super::unknown::{hint, join};
use super::value::{Located, Raw};
use crate::redact::{Shown, scrub};

/// What a file says.
#[derive(Debug)]
pub(super) struct Layers {
    /// Settings of the process.
    pub(super) process: Layer,
    /// One for each `[[listener]]`.
    pub(super) listeners: Vec<Layer>,
    /// One for each `[[egress]]`.
    pub(super) egresses: Vec<Layer>,
}

/// Reads a file's text; `path` is for messages.
pub(super) fn parse(path: &str, text: &str) -> Result<Layers, Error> {
    let reader = Reader {
        path: path.into(),
        text,
    };
    let document = DeTable::parse(text).map_err(|error| reader.syntax(&error))?;
    reader.document(document.get_ref())
}

type Entry<'a> = (
    &'a Spanned<std::borrow::Cow<'a, str>>,
    &'a Spanned<DeValue<'a>>,
);

struct Reader<'a> {
    path: Arc<str>,
    text: &'a str,
}

impl Reader<'_> {
    fn document(&self, table: &DeTable<'_>) -> Result<Layers, Error> {
        let mut layers = Layers {
            process: Layer::new(None),
            listeners: Vec::new(),
            egresses: Vec::new(),
        };
        for (name, value) in in_order(table) {
            match name.get_ref().as_ref() {
                "listener" => {
                    let problem = "each listener is a table of its own: write [[listener]]";
                    layers.listeners = self.tables("listener", value, problem)?;
                }
                "egress" => {
                    let problem = "each egress is a table of its own: write [[egress]]";
                    layers.egresses = self.tables("egress", value, problem)?;
                }
                _ => self.entry("", (name, value), &mut layers.process)?,
            }
        }
        Ok(layers)
    }

    /// What the parser says, in one line; of the text itself only the name of a key that is set twice.
    fn syntax(&self, error: &toml::de::Error) -> Error {
        let span = error.span().unwrap_or_default();
        let mut message = scrub(error.message()).replace('\n', ", ");
        if message == "duplicate key" {
            let key = self.text.get(span.clone()).unwrap_or_default();
            message = format!("{}: this key is set twice: remove one", Shown::from(key));
        }
        Error::Syntax {
            path: self.path.clone(),
            line: self.line(span.start),
            message: explained(&self.path, self.text, span.start, message),
        }
    }

    fn tables(
        &self,
        section: &str,
        value: &Spanned<DeValue<'_>>,
        problem: &'static str,
    ) -> Result<Vec<Layer>, Error> {
        let not_tables = || Error::Refused {
            at: self.origin(value.span().start, section),
            problem,
        };
        let items = value.get_ref().as_array().ok_or_else(not_tables)?;
        let mut layers = Vec::new();
        for item in items {
            let table = item.get_ref().as_table().ok_or_else(not_tables)?;
            let mut layer = Layer::new(Some(self.origin(item.span().start, section)));
            self.section(section, table, &mut layer)?;
            layers.push(layer);
        }
        Ok(layers)
    }

    fn section(&self, path: &str, table: &DeTable<'_>, into: &mut Layer) -> Result<(), Error> {
        in_order(table)
            .into_iter()
            .try_for_each(|entry| self.entry(path, entry, into))
    }

    fn entry(
        &self,
        section: &str,
        (name, value): Entry<'_>,
        into: &mut Layer,
    ) -> Result<(), Error> {
        let path = join(section, name.get_ref());
        let start = name.span().start;
        if path == table::SECTION {
            into.certificates = self.certificates(value)?;
            return Ok(());
        }
        if let Some(key) = Key::at(&path) {
            into.insert(key, self.given(start, key, value));
            return Ok(());
        }
        if !is_section(&path) {
            return Err(Error::UnknownKey {
                at: self.origin(start, &Shown::from(path.as_str()).to_string()),
                hint: hint(section, name.get_ref()),
            });
        }
        match value.get_ref().as_table() {
            Some(table) => self.section(&path, table, into),
            None => Err(Error::Refused {
                at: self.origin(start, &path),
                problem: "is a section, not a value: write it in brackets on a line of its own",
            }),
        }
    }

    fn certificates(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<Table>, Error> {
        let not_tables = || Error::Refused {
            at: self.origin(value.span().start, table::SECTION),
            problem: "each further certificate is a table of its own: write [[listener.tls.certificate]]; the listener's own is `cert = FILE`",
        };
        let items = value.get_ref().as_array().ok_or_else(not_tables)?;
        let table = |item: &Spanned<DeValue<'_>>| {
            let entries = item.get_ref().as_table().ok_or_else(not_tables)?;
            let mut table = Table::new(self.origin(item.span().start, table::SECTION));
            for (name, value) in in_order(entries) {
                let path = join(table::SECTION, name.get_ref());
                let given = self.located(name.span().start, &path, value);
                table.insert(name.get_ref(), given)?;
            }
            Ok(table)
        };
        items.iter().map(table).collect()
    }

    fn given(&self, start: usize, key: Key, value: &Spanned<DeValue<'_>>) -> Located {
        self.located(start, key.path(), value)
    }

    fn located(&self, start: usize, path: &str, value: &Spanned<DeValue<'_>>) -> Located {
        let written = || self.text.get(value.span()).unwrap_or_default().to_owned();
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Boolean(on) => Raw::Switch(*on),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| Raw::Other(written()), Raw::Number),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map_or_else(|| Raw::Other(written()), Raw::List),
            _ => Raw::Other(written()),
        };
        Located {
            raw,
            origin: self.origin(start, &Shown::from(path).to_string()),
        }
    }

    fn origin(&self, offset: usize, key: &str) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line: self.line(offset),
            key: key.into(),
        }
    }

    fn line(&self, offset: usize) -> usize {
        let text = self.text.as_bytes();
        let before = text.get(..offset).unwrap_or(text);
        1 + memchr_iter(b'\n', before).count()
    }
}

/// Entries as they stand in the file, so that the first mistake is the one reported.
fn in_order<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn is_section(path: &str) -> bool {
    let inside =
        |key: &Key| key.section() == path || key.section().starts_with(&format!("{path}."));
    Key::ALL.iter().any(inside)
}
