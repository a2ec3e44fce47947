//! JA4: what a client is, by the form of its ClientHello (FoxIO's JA4, TLS client fingerprint over TCP).
//!
//! Only this one of the family: it is BSD-3, the others are not. Values that only grease are left out
//! (RFC 8701).

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

use super::message::{ClientHello, Cursor, EXT_SERVER_NAME, handshake_bytes};

const EXT_SIGNATURE_ALGORITHMS: u16 = 13;
const EXT_ALPN: u16 = 16;
const EXT_SUPPORTED_VERSIONS: u16 = 43;

/// Extensions of a hello that take no second allocation.
const USUAL_EXTENSIONS: usize = 16;
/// Numbers that are kept as they are: those of known clients are fewer than half as many.
const MAX_NUMBERS: usize = 256;
/// Characters of a fingerprint's first part: `t13d1516h2`.
const HEAD: usize = 10;
/// Characters of a fingerprint: `t13d1516h2_8daaf6152771_e5627efa2ab1`.
const LENGTH: usize = 36;

/// A fingerprint. Two clients are the same if theirs are equal; it is hashed only to be written.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Ja4(Form);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Form {
    Numbers(Numbers),
    /// As it is written: of a hello with more than [`MAX_NUMBERS`].
    Text([u8; LENGTH]),
}

/// What is hashed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Numbers {
    head: [u8; HEAD],
    suites: usize,
    extensions: usize,
    /// Cipher suites and extensions, each sorted, and signature schemes in the client's order.
    all: Box<[u16]>,
}

/// The fingerprint of the hello in these records; `None` if it is no whole ClientHello.
pub fn ja4(records: &[u8]) -> Option<Ja4> {
    let message = handshake_bytes(records)?;
    let hello = ClientHello::parse(&message)?;
    let mut found = Found {
        version: hello.legacy_version,
        ..Found::default()
    };
    found.read(hello.extensions)?;
    let suites = numbers(hello.suites).count();
    let head = head(&found, suites);
    let named = [EXT_SERVER_NAME, EXT_ALPN];
    found.extensions.retain(|kind| !named.contains(kind));
    let extensions = found.extensions.len();
    let mut all = Vec::with_capacity(suites + extensions + found.schemes.len() / 2);
    all.extend(numbers(hello.suites));
    all.extend_from_slice(&found.extensions);
    all[..suites].sort_unstable();
    all[suites..].sort_unstable();
    all.extend(numbers(found.schemes));
    let numbers = Numbers {
        head,
        suites,
        extensions,
        all: all.into(),
    };
    Some(Ja4(if numbers.all.len() <= MAX_NUMBERS {
        Form::Numbers(numbers)
    } else {
        Form::Text(numbers.text())
    }))
}

fn head(found: &Found<'_>, suites: usize) -> [u8; HEAD] {
    let mut head = *b"t13i000000";
    head[1..3].copy_from_slice(&version(found.version));
    if found.names_server {
        head[3] = b'd';
    }
    head[4..6].copy_from_slice(&two_digits(suites));
    head[6..8].copy_from_slice(&two_digits(found.extensions.len()));
    head[8..].copy_from_slice(&found.alpn);
    head
}

impl Numbers {
    fn text(&self) -> [u8; LENGTH] {
        let (suites, rest) = self.all.split_at(self.suites);
        let (extensions, schemes) = rest.split_at(self.extensions);
        let mut text = [b'_'; LENGTH];
        text[..HEAD].copy_from_slice(&self.head);
        text[HEAD + 1..][..12].copy_from_slice(&hash(suites, &[]));
        text[HEAD + 14..].copy_from_slice(&hash(extensions, schemes));
        text
    }
}

/// What the extensions say.
struct Found<'a> {
    version: u16,
    extensions: Vec<u16>,
    names_server: bool,
    /// First and last character of the first protocol.
    alpn: [u8; 2],
    schemes: &'a [u8],
}

impl Default for Found<'_> {
    fn default() -> Self {
        Self {
            version: 0,
            extensions: Vec::with_capacity(USUAL_EXTENSIONS),
            names_server: false,
            alpn: [b'0'; 2],
            schemes: &[],
        }
    }
}

impl<'a> Found<'a> {
    fn read(&mut self, mut extensions: Cursor<'a>) -> Option<()> {
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let mut data = Cursor(extensions.vector16()?);
            if is_grease(kind) {
                continue;
            }
            self.extensions.push(kind);
            match kind {
                EXT_SERVER_NAME => self.names_server = true,
                EXT_ALPN => {
                    let mut protocols = Cursor(data.vector16()?);
                    if let Some(first) = protocols.vector8() {
                        self.alpn = ends(first);
                    }
                }
                EXT_SIGNATURE_ALGORITHMS => self.schemes = data.vector16()?,
                EXT_SUPPORTED_VERSIONS => {
                    let versions = numbers(data.vector8()?);
                    self.version = versions.max().unwrap_or(self.version);
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// Both ends of a protocol's name: its characters if both are letters or digits, else the ends of its hex.
fn ends(name: &[u8]) -> [u8; 2] {
    let (Some(first), Some(last)) = (name.first(), name.last()) else {
        return [b'0'; 2];
    };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [*first, *last];
    }
    [first >> 4, last & 0xf].map(digit)
}

/// 99 at most.
fn two_digits(count: usize) -> [u8; 2] {
    let count = count.min(99) as u8;
    [b'0' + count / 10, b'0' + count % 10]
}

fn version(number: u16) -> [u8; 2] {
    *match number {
        0x0304 => b"13",
        0x0303 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        0x0002 => b"s2",
        _ => b"00",
    }
}

/// The first 12 digits of the SHA-256 of the sorted numbers and, behind them, those in the client's order.
fn hash(sorted: &[u16], in_order: &[u16]) -> [u8; 12] {
    let mut digits = [b'0'; 12];
    if sorted.is_empty() {
        return digits;
    }
    let mut text = Vec::with_capacity(5 * (sorted.len() + in_order.len()));
    list(sorted, &mut text);
    if !in_order.is_empty() {
        text.push(b'_');
        list(in_order, &mut text);
    }
    let digest = digest(&SHA256, &text);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(digest.as_ref()) {
        pair.copy_from_slice(&[byte >> 4, byte & 0xf].map(digit));
    }
    digits
}

fn list(numbers: &[u16], out: &mut Vec<u8>) {
    for number in numbers {
        let [high, low] = number.to_be_bytes();
        let [a, b, c, d] = [high >> 4, high & 0xf, low >> 4, low & 0xf].map(digit);
        out.extend_from_slice(&[a, b, c, d, b',']);
    }
    out.pop();
}

/// Of a value below 16.
fn digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value & 0xf)]
}

fn numbers(list: &[u8]) -> impl Iterator<Item = u16> {
    let pairs = list.chunks_exact(2);
    let numbers = pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    numbers.filter(|number| !is_grease(*number))
}

/// 0x0a0a, 0x1a1a, … (RFC 8701 §2).
fn is_grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && high & 0xf == 0xa
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match &self.0 {
            Form::Numbers(numbers) => numbers.text(),
            Form::Text(text) => *text,
        };
        // Made out of a text.
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
