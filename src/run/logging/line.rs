//! One event as one line: logfmt for people and collectors alike, or a JSON object. Both have the
//! same names in the same order: `timestamp`, `level`, `message`, then the fields of the event.

use std::borrow::Cow;
use std::fmt::{self, Debug};

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogFormat;
use crate::redact::{is_printable, printable_json, scrub};

/// Fields whose value is a list.
const LISTS: [&str; 3] = ["addresses", "in_use", "opening"];

/// Writes events in one of the two formats.
pub(super) struct Lines {
    format: LogFormat,
}

impl Lines {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format }
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let level = event.metadata().level();
        let mut fields = Fields::default();
        event.record(&mut fields);
        // A last look at what libraries and paths say; lines of these levels that a request causes are limited.
        if *level <= Level::WARN {
            fields.scrub();
        }
        let head = [
            ("timestamp", Form::Bare, Value::String(timestamp)),
            (
                "level",
                Form::Bare,
                Value::String(level.as_str().to_owned()),
            ),
            ("message", Form::Bare, Value::String(fields.message)),
        ];
        let entries = head.into_iter().chain(fields.entries);
        match self.format {
            LogFormat::Text => text(&mut writer, entries),
            LogFormat::Json => object(&mut writer, entries),
        }
    }
}

/// How a string looks in a text line: a field recorded as a string is always quoted, so that the text
/// of `reason="timeout"` does not depend on the word.
#[derive(Clone, Copy)]
enum Form {
    Bare,
    Quoted,
}

type Entry = (&'static str, Form, Value);

/// The fields of one event, in their order.
#[derive(Default)]
struct Fields {
    message: String,
    entries: Vec<Entry>,
}

impl Fields {
    /// Hides what may be a key.
    fn scrub(&mut self) {
        let texts = self
            .entries
            .iter_mut()
            .filter_map(|entry| match &mut entry.2 {
                Value::String(text) => Some(text),
                _ => None,
            });
        for text in texts.chain([&mut self.message]) {
            if let Cow::Owned(clean) = scrub(text) {
                *text = clean;
            }
        }
    }

    fn push(&mut self, field: &Field, value: Value) {
        self.push_as(field, Form::Bare, value);
    }

    fn push_as(&mut self, field: &Field, form: Form, value: Value) {
        // What the bridge from the `log` crate adds: its caller's place.
        if !field.name().starts_with("log.") {
            self.entries.push((field.name(), form, value));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name if LISTS.contains(&name) => self.push(field, list(&text)),
            _ => self.push(field, Value::String(text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            _ => self.push_as(field, Form::Quoted, Value::from(value)),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, json!(rounded(field.name(), value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::from(value));
    }
}

/// Finer than a microsecond nothing here is measured: `_us` keeps one decimal, `_ms` three.
fn rounded(name: &str, value: f64) -> f64 {
    let scale = match name {
        name if name.ends_with("_us") => 10.0,
        name if name.ends_with("_ms") => 1e3,
        _ => 1e6,
    };
    (value * scale).round() / scale
}

/// The items of a list that `Debug` wrote as `[a, b]`, or as `["a", "b"]` if they are strings.
fn list(debug: &str) -> Value {
    if let Ok(strings) = serde_json::from_str::<Vec<String>>(debug) {
        return Value::from(strings);
    }
    let inside = debug
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(debug);
    let items = inside.split(", ").filter(|item| !item.is_empty());
    items.map(Value::from).collect()
}

/// `name=value` pairs as logfmt has them: a value that is not one plain word is a JSON string.
fn text(writer: &mut Writer<'_>, entries: impl Iterator<Item = Entry>) -> fmt::Result {
    for (index, (name, form, value)) in entries.enumerate() {
        if index > 0 {
            writer.write_char(' ')?;
        }
        write!(writer, "{name}=")?;
        match (value, form) {
            (value @ Value::String(_), Form::Quoted) => json(writer, &value)?,
            (Value::String(text), Form::Bare) => word(writer, &text)?,
            (Value::Array(items), _) => {
                let items = items.iter().filter_map(Value::as_str);
                let items: Vec<_> = items.collect();
                word(writer, &format!("[{}]", items.join(", ")))?;
            }
            (other, _) => json(writer, &other)?,
        }
    }
    writer.write_char('\n')
}

fn word(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    let special = |c: char| c <= ' ' || !is_printable(c) || matches!(c, '=' | '"' | '\\');
    if text.is_empty() || text.contains(special) {
        json(writer, &json!(text))
    } else {
        writer.write_str(text)
    }
}

/// A value as JSON, without what a terminal would obey.
fn json(writer: &mut Writer<'_>, value: &Value) -> fmt::Result {
    writer.write_str(&printable_json(&value.to_string()))
}

fn object(writer: &mut Writer<'_>, entries: impl Iterator<Item = Entry>) -> fmt::Result {
    for (index, (name, _, value)) in entries.enumerate() {
        let before = if index > 0 { ',' } else { '{' };
        write!(writer, "{before}{}:", json!(name))?;
        json(writer, &value)?;
    }
    writer.write_str("}\n")
}

#[cfg(test)]
mod tests;
