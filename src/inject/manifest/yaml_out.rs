//! Writing YAML that every reader takes the same way: block style, and quotes around each text that
//! YAML 1.1 or 1.2 could take for something else.

use std::fmt::Write as _;

use serde_json::Value;

use super::scalar::Scalar;

/// The document, ending in a newline.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, value, 0),
        Value::Array(items) if !items.is_empty() => sequence(&mut out, items, 0),
        other => {
            scalar(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n(' ', depth));
}

fn mapping(out: &mut String, value: &Value, depth: usize) {
    let entries = value.as_object().into_iter().flatten();
    for (position, (key, value)) in entries.enumerate() {
        if position > 0 {
            indent(out, depth);
        }
        text(out, key);
        out.push(':');
        nested(out, value, depth);
    }
}

fn nested(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            indent(out, depth + 2);
            mapping(out, value, depth + 2);
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            indent(out, depth);
            sequence(out, items, depth);
        }
        other => {
            out.push(' ');
            scalar(out, other, depth + 2);
            out.push('\n');
        }
    }
}

fn sequence(out: &mut String, items: &[Value], depth: usize) {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            indent(out, depth);
        }
        out.push_str("- ");
        match item {
            Value::Object(map) if !map.is_empty() => mapping(out, item, depth + 2),
            Value::Array(inner) if !inner.is_empty() => sequence(out, inner, depth + 2),
            other => {
                scalar(out, other, depth + 2);
                out.push('\n');
            }
        }
    }
}

fn scalar(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(s) if is_literal(s) => literal(out, s, depth),
        Value::String(s) => text(out, s),
        Value::Object(_) => out.push_str("{}"),
        Value::Array(_) => out.push_str("[]"),
        other => out.push_str(&other.to_string()),
    }
}

fn text(out: &mut String, s: &str) {
    if is_plain(s) {
        out.push_str(s);
    } else {
        quoted(out, s);
    }
}

/// Text that no YAML reader takes for anything but itself.
fn is_plain(s: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-./@=+,%$() ".contains(c);
    let colons = |c: char| allowed(c) || c == ':';
    s.starts_with(|c: char| c.is_ascii_alphabetic() || "/_$".contains(c))
        && s.chars().all(colons)
        && !s.contains(": ")
        && !s.ends_with([':', ' '])
        && matches!(Scalar::plain(s), Scalar::Text(_))
}

fn quoted(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || "\u{2028}\u{2029}\u{feff}".contains(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Scripts and configuration are kept readable as a literal block where that loses nothing.
fn is_literal(s: &str) -> bool {
    let body = s.strip_suffix('\n').unwrap_or(s);
    body.contains('\n')
        && !body.starts_with([' ', '\n'])
        && !body.ends_with('\n')
        && body.lines().all(|line| !line.ends_with([' ', '\t']))
        && !s.chars().any(|c| {
            (c.is_control() && c != '\n' && c != '\t')
                || "\u{2028}\u{2029}\u{feff}\u{85}".contains(c)
        })
}

fn literal(out: &mut String, s: &str, depth: usize) {
    out.push_str(if s.ends_with('\n') { "|" } else { "|-" });
    for line in s.strip_suffix('\n').unwrap_or(s).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            indent(out, depth);
            out.push_str(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::inject::manifest::yaml;

    #[test]
    fn what_is_written_is_read_back() {
        let value = json!({
            "mode": "0644", "n": 420, "yes": "no", "empty": {}, "none": [], "nul": null, "f": 0.5,
            "list": [{"a": 1, "b": [1, [2, "x: y"], {}]}, "#c", "- d", ""],
            "script": "#!/bin/sh\n\necho  hi\n\tindented\n", "joined": "a\nb", "odd": " lead\ntrail \n\n",
            "ctl": "\u{1}\u{7f}\u{85}\u{2028}\u{feff}é\u{1F600}", "key: odd": "it's \"quoted\" \\ #", "url": "http://a:80/b",
        });
        let text = write(&value);
        let back = yaml::read(&text).unwrap_or_default();
        assert_eq!(back, value, "{text}");
    }

    #[test]
    fn ambiguous_words_are_quoted() {
        for word in [
            "y",
            "on",
            "0644",
            "1e3",
            "null",
            "~",
            "12:30",
            "2026-11-22",
            "=",
            "<<",
            "-",
            "a: b",
            "a #b",
            "0x1",
        ] {
            assert!(write(&json!([word])).contains('"'), "{word}");
        }
        assert_eq!(
            write(&json!({"image": "vllm/vllm-openai:v0.11.0"})),
            "image: vllm/vllm-openai:v0.11.0\n"
        );
    }
}
