#![allow(clippy::unwrap_used)]
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line of one event in `format`.
fn logged(format: LogFormat, event: impl Fn()) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .event_format(Lines::new(format))
        .finish();
    tracing::subscriber::with_default(subscriber, event);
    let bytes = log.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

/// Reads a logfmt line strictly: pairs, one space between them, nothing bare and no key twice.
fn logfmt(line: &str) -> Vec<(String, String)> {
    let mut rest = line.strip_suffix('\n').unwrap();
    let mut pairs: Vec<(String, String)> = Vec::new();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').unwrap();
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
        assert!(pairs.iter().all(|(other, _)| other != key), "{key} twice");
        let mut values = serde_json::Deserializer::from_str(after).into_iter::<String>();
        let (value, length) = if after.starts_with('"') {
            (values.next().unwrap().unwrap(), values.byte_offset())
        } else {
            let end = after.find(' ').unwrap_or(after.len());
            assert!(end > 0 && !after[..end].contains(['"', '=']), "{line}");
            (after[..end].to_owned(), end)
        };
        pairs.push((key.to_owned(), value));
        rest = &after[length..];
        if let Some(next) = rest.strip_prefix(' ') {
            assert!(!next.is_empty(), "{line}");
            rest = next;
        } else {
            assert!(rest.is_empty(), "{line}");
        }
    }
    pairs
}

fn event() {
    let addresses: [SocketAddr; 2] = [
        "127.0.0.1:8443".parse().unwrap(),
        "[::1]:8443".parse().unwrap(),
    ];
    tracing::warn!(
        listener = "a",
        addresses = ?addresses,
        error = %"certificate \"x\"\n= bad, \u{1b}[31m",
        empty = "",
        handshake_ms = 259.138_000_000_000_03,
        handshake_compute_us = 81.449_999,
        open_seconds = 1.5,
        wire_bytes_in = 7_u64,
        hello_retry = false,
        "connection closed"
    );
}

const ERROR: &str = "certificate \"x\"\n= bad, \u{1b}[31m";

#[test]
fn a_text_line_is_logfmt() {
    let line = logged(LogFormat::Text, event);
    let pairs = logfmt(&line);
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..4], ["timestamp", "level", "message", "listener"]);
    let value = |name: &str| {
        let pair = pairs.iter().find(|(other, _)| other == name);
        pair.unwrap().1.as_str()
    };
    assert!(value("timestamp").ends_with('Z'));
    for (name, expected) in [
        ("level", "WARN"),
        ("message", "connection closed"),
        ("listener", "a"),
        ("addresses", "[127.0.0.1:8443, [::1]:8443]"),
        ("error", ERROR),
        ("empty", ""),
        ("handshake_ms", "259.138"),
        ("handshake_compute_us", "81.4"),
        ("open_seconds", "1.5"),
        ("wire_bytes_in", "7"),
        ("hello_retry", "false"),
    ] {
        assert_eq!(value(name), expected, "{line}");
    }
    assert_eq!(line.matches('\n').count(), 1);
}

#[test]
fn a_json_line_is_one_object_with_numbers_and_lists() {
    let line = logged(LogFormat::Json, event);
    let value: Value = serde_json::from_str(&line).unwrap();
    assert!(value["timestamp"].as_str().unwrap().ends_with('Z'));
    let expected = json!({
        "timestamp": value["timestamp"],
        "level": "WARN",
        "message": "connection closed",
        "listener": "a",
        "addresses": ["127.0.0.1:8443", "[::1]:8443"],
        "error": ERROR,
        "empty": "",
        "handshake_ms": 259.138,
        "handshake_compute_us": 81.4,
        "open_seconds": 1.5,
        "wire_bytes_in": 7,
        "hello_retry": false,
    });
    assert_eq!(value, expected);
    assert!(line.contains("259.138,"), "{line}");
}

#[test]
fn lists_keep_the_brackets_of_their_items() {
    for (debug, expected) in [
        ("[]", json!([])),
        ("[127.0.0.1:1]", json!(["127.0.0.1:1"])),
        (r#"["a", "b\", \"c"]"#, json!(["a", "b\", \"c"])),
        ("[[::1]:1]", json!(["[::1]:1"])),
        ("[[::1]:1, [::]:2]", json!(["[::1]:1", "[::]:2"])),
    ] {
        assert_eq!(list(debug), expected, "{debug}");
    }
}

#[test]
fn a_number_that_is_none_is_null_and_not_a_broken_line() {
    let line = logged(LogFormat::Json, || {
        tracing::info!(handshake_ms = f64::NAN, "x");
    });
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["handshake_ms"], Value::Null);
}

#[test]
fn what_a_terminal_would_obey_is_escaped_in_both_formats() {
    let hostile = "a\u{9b}31m\u{85}b\u{202e}c\u{7f}\u{61c}d \u{2066}";
    for format in [LogFormat::Text, LogFormat::Json] {
        let line = logged(format, || {
            tracing::info!(quoted = hostile, shown = %hostile, addresses = ?[hostile], "{hostile}");
        });
        assert!(line.trim_end().chars().all(is_printable), "{line:?}");
        let read = match format {
            LogFormat::Text => logfmt(&line),
            LogFormat::Json => serde_json::from_str::<serde_json::Map<_, _>>(&line)
                .unwrap()
                .into_iter()
                .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
                .collect(),
        };
        for name in ["message", "quoted", "shown"] {
            let (_, value) = read.iter().find(|(key, _)| key == name).unwrap();
            assert_eq!(value, hostile, "{name}");
        }
    }
}

/// Each field that is logged as a list is one in JSON.
#[test]
fn every_list_of_the_log_is_known() {
    let strings = ["a\"b".to_owned(), "c".to_owned()];
    let line = logged(LogFormat::Json, || {
        tracing::info!(in_use = ?strings, opening = ?strings, addresses = ?strings, "keys reloaded");
    });
    let value: Value = serde_json::from_str(&line).unwrap();
    for name in ["in_use", "opening", "addresses"] {
        assert_eq!(value[name], json!(["a\"b", "c"]), "{line}");
    }
    let line = logged(
        LogFormat::Text,
        || tracing::info!(in_use = ?["a", "b"], "keys reloaded"),
    );
    assert!(line.ends_with(" in_use=\"[a, b]\"\n"), "{line}");
}

/// A library says in its own words what it was given; a digest is no secret at the level of facts.
#[test]
fn a_warning_repeats_nothing_like_a_key() {
    let key = "MC4CAQAwBQYDK2VwBCIEIEFZ2zWuXm0YwrTJp9Qk3sLd7fHb1vN4xR6tC8yU0aGe";
    for format in [LogFormat::Text, LogFormat::Json] {
        for line in [
            logged(format, || tracing::warn!(path = %key, "a {key} b")),
            logged(format, || {
                tracing::error!(error = format!("about [\"/{key}\"]"), "c");
            }),
        ] {
            assert!(!line.contains(&key[8..24]), "{line}");
            assert!(line.contains("not shown"), "{line}");
        }
    }
    let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let line = logged(LogFormat::Text, || tracing::info!(%sha256, "reloaded"));
    assert!(line.contains(sha256), "{line}");
}
