//! A stanza: what a header has for one recipient, and the base64 of its lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Characters of a line of a body.
pub(super) const COLUMNS: usize = 64;

/// A wrapped file key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stanza {
    /// What kind of recipient.
    pub kind: String,
    /// What its kind says.
    pub arguments: Vec<String>,
    /// The wrapped key.
    pub body: Vec<u8>,
}

impl Stanza {
    /// `-> TYPE ARGUMENT…`
    pub(super) fn opening(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("-> ")?.split(' ');
        let visible =
            |word: &&str| !word.is_empty() && word.bytes().all(|b| (33..=126).contains(&b));
        let kind = words.next().filter(visible)?.to_owned();
        let arguments: Option<Vec<_>> = words
            .map(|w| Some(w).filter(visible).map(str::to_owned))
            .collect();
        Some(Self {
            kind,
            arguments: arguments?,
            body: Vec::new(),
        })
    }

    /// As lines of a header.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(b"-> ");
        bytes.extend_from_slice(self.kind.as_bytes());
        for argument in &self.arguments {
            bytes.push(b' ');
            bytes.extend_from_slice(argument.as_bytes());
        }
        bytes.push(b'\n');
        let body = base64(&self.body);
        let mut lines = body.as_bytes().chunks(COLUMNS).peekable();
        // The last line is short, if need be empty.
        while let Some(line) = lines.next() {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
            if lines.peek().is_none() && line.len() == COLUMNS {
                bytes.push(b'\n');
            }
        }
        if body.is_empty() {
            bytes.push(b'\n');
        }
    }
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

/// Without padding, without bits that count for nothing.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}
