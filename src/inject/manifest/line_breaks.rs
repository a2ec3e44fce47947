//! Characters that end a line for kubectl, which reads YAML 1.1, and for no reader of YAML 1.2: what stands behind one
//! in a comment is an object for the one, and nothing for the other. No file may have them.

use std::borrow::Cow;

use super::yaml_error::YamlError;

/// NEXT LINE, LINE SEPARATOR and PARAGRAPH SEPARATOR, and how each is written inside double quotes.
pub(super) const BREAKS: [(char, &str, &str); 3] = [
    ('\u{85}', "U+0085", "\\u0085"),
    ('\u{2028}', "U+2028", "\\u2028"),
    ('\u{2029}', "U+2029", "\\u2029"),
];

/// Refuses a text of YAML that has one behind `from`.
pub(super) fn refuse(text: &str, from: usize) -> Result<(), YamlError> {
    let Some((at, name, escape)) = find(&text[from..]) else {
        return Ok(());
    };
    let line = 1 + text[..from + at].matches('\n').count();
    Err(YamlError::LineBreak { name, line, escape })
}

fn find(text: &str) -> Option<(usize, &'static str, &'static str)> {
    let mut found = text.char_indices().filter_map(|(at, c)| {
        let (_, name, escape) = BREAKS.iter().find(|(found, ..)| *found == c)?;
        Some((at, *name, *escape))
    });
    found.next()
}

/// JSON for a file that may be read as YAML.
pub(super) fn escaped(json: &str) -> Cow<'_, str> {
    let mut json = Cow::Borrowed(json);
    for (c, _, escape) in BREAKS {
        if json.contains(c) {
            json = json.replace(c, escape).into();
        }
    }
    json
}
