//! The log as collectors rely on it: each message with its fields, in a golden file.
//!
//! To accept a change: HYBRIDGE_BLESS=1 cargo test --test process log_fields

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

#[allow(dead_code, reason = "the rules about layers need the rest")]
#[path = "../layers/source.rs"]
mod source;

use source::sources;

use crate::contract::golden;

/// The macro that adds the field `suppressed`: its level, what admits the line, the message, the fields.
const LIMITED: &str = "log_admitted!(";

const MACROS: [&str; 10] = [
    "tracing::error!(",
    "tracing::warn!(",
    "tracing::info!(",
    "tracing::debug!(",
    "tracing::$level!(",
    " error!(",
    " warn!(",
    " info!(",
    " debug!(",
    LIMITED,
];

/// The arguments of the macro whose parenthesis has just been opened.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    let mut found = vec![String::new()];
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                '"' => quoted = true,
                '(' | '[' | '{' => depth += 1,
                ')' if depth == 0 => break,
                ')' | ']' | '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.push(String::new());
                    continue;
                }
                _ => {}
            }
        }
        found.last_mut().unwrap().push(c);
    }
    let trimmed = found.iter().map(|argument| argument.trim().to_owned());
    trimmed.filter(|argument| !argument.is_empty()).collect()
}

/// The message and the names of the fields.
fn line(arguments: &[String]) -> (String, BTreeSet<String>) {
    let (mut message, mut fields) = ("(computed)".to_owned(), BTreeSet::new());
    for argument in arguments {
        if let Some(text) = argument.strip_prefix('"') {
            text.trim_end_matches('"').clone_into(&mut message);
            break;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let shorthand = argument.trim_start_matches(['%', '?', '&']);
        let name: String = shorthand.chars().take_while(|c| is_name(*c)).collect();
        let rest = &shorthand[name.len()..];
        if rest.is_empty() || rest.trim_start().starts_with('=') {
            fields.insert(name);
        }
    }
    (message, fields)
}

/// Each message with the fields that lines of that message may have.
fn lines_of_source() -> BTreeMap<String, BTreeSet<String>> {
    let mut lines: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources() {
        for call in MACROS {
            for (index, _) in source.code.match_indices(call) {
                let mut arguments = arguments(&source.code[index + call.len()..]);
                if call == LIMITED {
                    let message = arguments.drain(..3).next_back().unwrap();
                    arguments.extend(["suppressed".to_owned(), message]);
                }
                let (message, fields) = line(&arguments);
                lines.entry(message).or_default().extend(fields);
            }
        }
    }
    lines
}

#[test]
fn every_log_line_has_the_recorded_fields() {
    let mut text = String::new();
    for (message, fields) in lines_of_source() {
        let mut fields: Vec<_> = fields.iter().map(String::as_str).collect();
        if fields.is_empty() {
            fields.push("(no fields)");
        }
        writeln!(text, "{message}\n  {}", fields.join(", ")).unwrap();
    }
    golden("log.golden", &text);
}

#[test]
fn fields_are_found_in_every_form_they_are_written_in() {
    let text = "\n target: TARGET, %listener, client = self.client.as_deref(), error = %f(a, \"),\"), ?path, \"a, (b)\");";
    let (message, fields) = line(&arguments(text));
    let fields: Vec<_> = fields.iter().map(String::as_str).collect();
    assert_eq!(message, "a, (b)");
    assert_eq!(fields, ["client", "error", "listener", "path"]);
}
