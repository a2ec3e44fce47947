//! PEM text into blocks that know their number and line (RFC 7468), so that an error can
//! name the place that is wrong. The one reader of certificates and keys: others pass over what they cannot read, such as
//! a block behind a byte order mark or a lost line break, and with it a CA that was to be trusted.

mod key;
mod label;

use std::fmt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

pub use key::{KeyError, private_key, public_key};
pub use label::Label;
pub use rustls::pki_types::PrivateKeyDer;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// OpenSSL's own: behind the certificate follow trust settings (X509_CERT_AUX).
const TRUSTED: &str = "TRUSTED CERTIFICATE";

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
    #[error(
        "it looks like binary DER or PKCS#12, convert it to PEM with `openssl x509`, `pkey` or `pkcs12`"
    )]
    Binary,
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
    #[error(
        "{at} is `{label}`, which is no certificate: convert it to one (`openssl pkcs7 -print_certs` of PKCS7), or remove it"
    )]
    NoCertificate { at: Position, label: Label },
    #[error("{at}: its base64 does not decode, a line is missing or cut short")]
    Undecodable { at: Position },
}

/// One `-----BEGIN …-----` to `-----END …-----`.
pub struct Block {
    pub at: Position,
    pub label: Label,
    /// The label as it stands.
    name: String,
    /// Carries `Proc-Type: 4,ENCRYPTED` (RFC 1421), the old form of an encrypted key.
    pub encrypted: bool,
    body: Zeroizing<Vec<u8>>,
}

impl Block {
    /// The decoded bytes and what they are; `None` for a label unknown to rustls or an encrypted body.
    pub fn decode(&self) -> Result<Option<(SectionKind, Vec<u8>)>, PemError> {
        if self.encrypted {
            return Ok(None);
        }
        let name = match self.label {
            label if label.is_certificate() => "CERTIFICATE",
            _ => &self.name,
        };
        let mut text = Zeroizing::new(format!("-----BEGIN {name}-----\n").into_bytes());
        text.extend_from_slice(&self.body);
        text.extend_from_slice(format!("-----END {name}-----\n").as_bytes());
        let decoded = <(SectionKind, Vec<u8>)>::pem_slice_iter(&text).next();
        let decoded = decoded.transpose();
        let mut decoded = decoded.map_err(|_| PemError::Undecodable { at: self.at })?;
        if let Some((_, der)) = &mut decoded
            && self.label.is(TRUSTED)
        {
            der.truncate(element(der).unwrap_or(der.len()));
        }
        Ok(decoded)
    }
}

/// The length of the first element in DER (X.690, section 8.1.3).
fn element(der: &[u8]) -> Option<usize> {
    let (_tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let more = usize::from(*first).checked_sub(0x80);
    let (header, length) = match more {
        None => (2, usize::from(*first)),
        Some(more) if more <= 4 => {
            let octets = rest.get(..more)?;
            let length = octets
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
            (2 + more, length)
        }
        Some(_) => return None,
    };
    header.checked_add(length)
}

/// A certificate and where it stands in its file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    pub at: Position,
    pub der: CertificateDer<'static>,
}

/// Every certificate in `text`, in its order, under each of the labels that certificates have. A block of another label
/// is an error, because it may hold one; only keys and their parameters may stand beside certificates.
pub fn certificates(text: &[u8]) -> Result<Vec<Certificate>, PemError> {
    let blocks = blocks(text)?;
    let others = blocks.iter().filter(|block| !block.label.is_of_key());
    let decoded = others.map(|block| match block.decode()? {
        Some((SectionKind::Certificate, der)) => Ok(Certificate {
            at: block.at,
            der: der.into(),
        }),
        _ if block.label.is_certificate() => Err(PemError::Undecodable { at: block.at }),
        _ => Err(PemError::NoCertificate {
            at: block.at,
            label: block.label,
        }),
    });
    decoded.collect()
}

/// The certificates of a bundle that nobody here wrote, such as the system's: what cannot be read is left out, as other
/// programs do.
pub fn readable_certificates(text: &[u8]) -> Vec<CertificateDer<'static>> {
    let mut starts: Vec<usize> = memchr::memmem::find_iter(text, BEGIN).collect();
    starts.push(text.len());
    let parts = starts
        .windows(2)
        .filter_map(|pair| text.get(pair[0]..pair[1]));
    let read = parts.filter_map(|part| certificates(part).ok()).flatten();
    read.map(|certificate| certificate.der).collect()
}

/// Splits `text` into its blocks; whatever stands between blocks is explanatory text and ignored.
pub fn blocks(text: &[u8]) -> Result<Vec<Block>, PemError> {
    let mut scanner = Scanner::default();
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    for (index, line) in text.split(|byte| matches!(byte, b'\n')).enumerate() {
        scanner.line(index + 1, line.trim_ascii())?;
    }
    let blocks = scanner.finish()?;
    // A SEQUENCE, with which certificates, lists, keys and PKCS#12 all begin.
    if blocks.is_empty() && text.first() == Some(&0x30) && !text.is_ascii() {
        return Err(PemError::Binary);
    }
    Ok(blocks)
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

#[cfg(test)]
mod tests;
