//! Splitting a file into documents, of YAML or of a stream of JSON, without losing a byte.

use std::ops::Range;

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};

use super::line_breaks;
use super::yaml;
use super::yaml_error::YamlError;
use crate::json;

/// One document of a file, separator line included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Document<'a> {
    pub(crate) raw: &'a str,
    /// Whether it follows another JSON value, with no separator between.
    pub(crate) continues: bool,
}

impl<'a> Document<'a> {
    fn whole(raw: &'a str) -> Self {
        let continues = false;
        Self { raw, continues }
    }

    /// Comments and separator before the content; kept when the content is rewritten.
    pub(crate) fn preamble(&self) -> &str {
        let lengths = self
            .raw
            .split_inclusive('\n')
            .take_while(|line| is_preamble(line))
            .map(str::len);
        &self.raw[..lengths.sum()]
    }

    /// What follows the preamble.
    pub(crate) fn content(&self) -> &str {
        &self.raw[self.preamble().len()..]
    }

    /// Whether its content begins on the separator line itself.
    pub(crate) fn opens_inline(&self) -> bool {
        self.content().lines().next().is_some_and(is_separator)
    }

    /// Its object; null if it holds nothing.
    pub(crate) fn read(&self) -> Result<Value, YamlError> {
        if self.is_json()
            && let Ok(value) = json::read(self.content().as_bytes())
        {
            return Ok(value);
        }
        // Also the second word on JSON that is refused, such as for a key that occurs twice.
        yaml::read(self.content())
    }

    pub(crate) fn is_json(&self) -> bool {
        self.content().trim_start().starts_with(['{', '['])
    }
}

/// The documents in order; concatenated they are the file.
pub(crate) fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut has_content = false;
    for line in lines(text) {
        let content = &text[line.clone()];
        if is_separator(content) && has_content {
            documents.push(Document::whole(&text[start..line.start]));
            start = line.start;
            has_content = false;
        }
        has_content |= !is_preamble(content);
    }
    if start < text.len() {
        documents.push(Document::whole(&text[start..]));
    }
    match documents.first().filter(|_| opens_json(text)) {
        Some(first) => {
            let values = json_stream(first.raw);
            values.into_iter().chain(documents.drain(1..)).collect()
        }
        None => documents,
    }
}

/// Refuses a file with lines that only kubectl ends, except inside JSON, where such a character is text.
pub(super) fn refuse_line_breaks(text: &str) -> Result<(), YamlError> {
    let refused = line_breaks::refuse(text, 0);
    if refused.is_ok() || !opens_json(text) {
        return refused;
    }
    let documents = split(text);
    let values = documents.iter().take_while(|document| {
        document.is_json() && json::read(document.content().as_bytes()).is_ok()
    });
    line_breaks::refuse(text, values.map(|value| value.raw.len()).sum())
}

/// Whether kubectl takes a file for a stream of JSON: it does so by how the file begins, comments included.
pub(crate) fn opens_json(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    text.trim_start().starts_with('{')
}

/// Each value with its line's end; the text as it is if it is no stream, which the reader then refuses.
fn json_stream(raw: &str) -> Vec<Document<'_>> {
    let text = raw.trim_start_matches('\u{feff}');
    let mark = raw.len() - text.len();
    let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut ends = Vec::new();
    while let Some(value) = values.next() {
        if value.is_err() {
            return vec![Document::whole(raw)];
        }
        ends.push(mark + line_end(text, values.byte_offset()));
    }
    // What follows the last is white space.
    ends.pop();
    ends.push(raw.len());
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts
        .zip(&ends)
        .map(|(start, end)| Document {
            raw: &raw[start..*end],
            continues: start > 0,
        })
        .collect()
}

/// Behind the line end that follows `at`, or `at` if more than white space comes first.
fn line_end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    match rest.split_inclusive('\n').next() {
        Some(line) if line.ends_with('\n') && line.trim().is_empty() => at + line.len(),
        _ => at,
    }
}

fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split_inclusive('\n').scan(0, |offset, line| {
        let start = *offset;
        *offset += line.len();
        Some(start..*offset)
    })
}

fn is_separator(line: &str) -> bool {
    let line = line
        .trim_start_matches('\u{feff}')
        .trim_end_matches(['\r', '\n']);
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// A line that may stand before the content of a document: blank, comment, directive, bare separator.
fn is_preamble(line: &str) -> bool {
    let text = if is_separator(line) {
        line.trim_start_matches(['\u{feff}', '-'])
    } else {
        line
    };
    let text = text.trim();
    text.is_empty() || text.starts_with(['#', '%'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_concatenate_to_the_file() {
        let files = [
            "a: 1\n---\nb: 2\n",
            "---\n# c\na: 1\n---\n---\nb: |\n  --- x\n--- # note\nc: 3",
            "# only a comment\n",
            "",
            "\n\n---\na: 1\r\n---\r\nb: 2\r\n",
            "--- {a: 1}\n--- {b: 2}\n",
            "\u{feff} {\"a\": 1}{\"b\": \"}{\"} \n\n{\"c\": 3} \n \n---\nd: 4\n",
            "{\"a\": 1}\n{\"b\": 2",
            "# c\n{\"a\": 1}\n{\"b\": 2}\n",
        ];
        for file in files {
            let joined: String = split(file).iter().map(|d| d.raw).collect();
            assert_eq!(joined, file);
        }
        assert_eq!(split(files[0]).len(), 2);
        assert_eq!(split(files[1]).len(), 3, "{:?}", split(files[1]));
        assert_eq!(split(files[5]).len(), 2, "{:?}", split(files[5]));
        let continue_ = |file| -> Vec<bool> { split(file).iter().map(|d| d.continues).collect() };
        assert_eq!(continue_(files[6]), [false, true, true, false]);
        assert_eq!(continue_(files[7]), [false]);
        // kubectl takes it for YAML and reads the first: it must not be injected as if it read both.
        assert_eq!(continue_(files[8]), [false]);
    }
    #[test]
    fn lines_that_only_kubectl_ends_are_refused_except_in_json() {
        for (c, name, escape) in line_breaks::BREAKS {
            for text in [
                format!("a: 1\n# note{c}kind: Pod\n"),
                format!("a: 1\nb: \"x{c}y\"\n"),
                format!("{{\"a\": 1}}\n# {c}\n---\n"),
                format!("{{\"a\": 1}}\n{c}{{\"a\": 2}}"),
                format!("# {{\n{{\"a\": \"{c}\"}}"),
            ] {
                let error = refuse_line_breaks(&text).err();
                let said = error.map(|error| error.to_string()).unwrap_or_default();
                let expected = format!("{name} in line 2 ends");
                assert!(
                    said.contains(&expected) && said.contains(escape),
                    "{text:?}: {said}"
                );
            }
            let json = format!("{{\"a\": \"{c}\"}}");
            assert!(refuse_line_breaks(&json).is_ok());
            assert!(yaml::read(&json).is_err());
            let escaped = line_breaks::escaped(&json).into_owned();
            assert_eq!(escaped, format!("{{\"a\": \"{escape}\"}}"));
        }
    }
}
