//! PEM text into blocks that know their number and line (RFC 7468), so that an error can
//! name the place that is wrong. Says nothing about what a block means: that is `credentials`.

mod label;

use std::fmt;

use rustls::pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

pub use label::Label;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where a block stands in its file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// Number of the block, counted from 1 over all blocks of the file.
    pub block: usize,
    /// Line of its `-----BEGIN`, counted from 1.
    pub line: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PEM block {} (line {})", self.block, self.line)
    }
}

/// Why a text is not well-formed PEM.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    #[error("line {line} is not a well-formed `-----BEGIN …-----` line")]
    Begin { line: usize },
    #[error(
        "line {line} holds a whole PEM block: its line breaks were lost (became spaces, `\\n`, or nothing); write the block with its line breaks"
    )]
    OneLine { line: usize },
    #[error("line {line} ends a block that was never begun")]
    EndWithoutBegin { line: usize },
    #[error("{at} begins `{label}`, but line {line} ends something else")]
    EndOfAnother {
        at: Position,
        label: Label,
        line: usize,
    },
    #[error(
        "{at} has no `-----END {label}-----` line: the file is cut short or two blocks ran together"
    )]
    Unterminated { at: Position, label: Label },
    #[error("{at}: line {line} holds a character that is not base64")]
    NotBase64 { at: Position, line: usize },
    #[error("{at}: its base64 does not decode, a line is missing or cut short")]
    Undecodable { at: Position },
}

/// One `-----BEGIN …-----` to `-----END …-----`.
pub(crate) struct Block {
    pub(crate) at: Position,
    pub(crate) label: Label,
    /// The label as it stands.
    name: String,
    /// Carries `Proc-Type: 4,ENCRYPTED` (RFC 1421), the old form of an encrypted key.
    pub(crate) encrypted: bool,
    body: Zeroizing<Vec<u8>>,
}

impl Block {
    /// The decoded bytes and what they are; `None` for a label unknown to rustls or an encrypted body.
    pub(crate) fn decode(&self) -> Result<Option<(SectionKind, Vec<u8>)>, PemError> {
        if self.encrypted {
            return Ok(None);
        }
        let name = match self.label {
            Label::Known("X509 CERTIFICATE" | "TRUSTED CERTIFICATE") => "CERTIFICATE",
            _ => &self.name,
        };
        let mut text = Zeroizing::new(format!("-----BEGIN {name}-----\n").into_bytes());
        text.extend_from_slice(&self.body);
        text.extend_from_slice(format!("-----END {name}-----\n").as_bytes());
        let decoded = <(SectionKind, Vec<u8>)>::pem_slice_iter(&text).next();
        decoded
            .transpose()
            .map_err(|_| PemError::Undecodable { at: self.at })
    }
}

/// Splits `text` into its blocks; whatever stands between blocks is explanatory text and ignored.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<Block>, PemError> {
    let mut scanner = Scanner::default();
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    for (index, line) in text.split(|byte| matches!(byte, b'\n')).enumerate() {
        scanner.line(index + 1, line.trim_ascii())?;
    }
    scanner.finish()
}

fn find(line: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(line, part)
}

#[derive(Default)]
struct Scanner {
    done: Vec<Block>,
    open: Option<Block>,
}

impl Scanner {
    fn line(&mut self, number: usize, line: &[u8]) -> Result<(), PemError> {
        if let Some(rest) = line.strip_prefix(BEGIN) {
            return self.begin(number, rest);
        }
        if let Some(rest) = line.strip_prefix(END) {
            return self.end(number, rest);
        }
        // Not at the start of its line: what follows would be skipped, and with it a key or certificate.
        if let Some(at) = find(line, BEGIN) {
            return self
                .begin(number, &line[at + BEGIN.len()..])
                .and(Err(PemError::Begin { line: number }));
        }
        match &mut self.open {
            Some(block) => block.body_line(number, line),
            None => Ok(()),
        }
    }

    fn begin(&mut self, line: usize, rest: &[u8]) -> Result<(), PemError> {
        if let Some(open) = self.open.take() {
            return Err(open.unterminated());
        }
        if find(rest, END).is_some() {
            return Err(PemError::OneLine { line });
        }
        let name = rest
            .strip_suffix(DASHES)
            .and_then(|label| std::str::from_utf8(label).ok())
            .filter(|label| label.bytes().all(|b| b.is_ascii_graphic() || b == b' '))
            .ok_or(PemError::Begin { line })?;
        self.open = Some(Block {
            at: Position {
                block: self.done.len() + 1,
                line,
            },
            label: Label::new(name),
            name: name.to_owned(),
            encrypted: false,
            body: Zeroizing::default(),
        });
        Ok(())
    }

    fn end(&mut self, line: usize, rest: &[u8]) -> Result<(), PemError> {
        let block = self.open.take().ok_or(PemError::EndWithoutBegin { line })?;
        if rest.strip_suffix(DASHES) != Some(block.name.as_bytes()) {
            return Err(PemError::EndOfAnother {
                at: block.at,
                label: block.label,
                line,
            });
        }
        self.done.push(block);
        Ok(())
    }

    fn finish(self) -> Result<Vec<Block>, PemError> {
        match self.open {
            Some(open) => Err(open.unterminated()),
            None => Ok(self.done),
        }
    }
}

impl Block {
    fn body_line(&mut self, number: usize, line: &[u8]) -> Result<(), PemError> {
        // Headers stand before the body (RFC 1421); behind its first line one more would hide a damaged line.
        if line.contains(&b':') && self.body.trim_ascii().is_empty() {
            self.encrypted |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
            return Ok(());
        }
        let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
        if !line.iter().all(base64) {
            return Err(PemError::NotBase64 {
                at: self.at,
                line: number,
            });
        }
        self.body.extend_from_slice(line);
        self.body.push(b'\n');
        Ok(())
    }

    fn unterminated(self) -> PemError {
        PemError::Unterminated {
            at: self.at,
            label: self.label,
        }
    }
}
