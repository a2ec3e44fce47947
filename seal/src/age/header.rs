//! The header: the version, a stanza for each recipient, a MAC under the file key. Read strictly: what
//! has two spellings could be changed without its MAC telling.

use std::collections::BTreeMap;
use std::io::BufRead;

use aws_lc_rs::constant_time;

use super::keys::{Identity, Recipient};
use super::kind::{Resistance, of_stanza};
use super::stanza::{COLUMNS, Stanza, base64, from_base64};
use super::{Error, FileKey};

const VERSION: &[u8] = b"age-encryption.org/v1\n";
/// Bytes of a header, at most: 600 recipients.
const MAX_HEADER: usize = 1 << 20;
/// Recipients, at most.
const MAX_STANZAS: usize = 1024;
/// A header that keeps the grammar; nothing of it is authenticated before `unwrap`.
#[derive(Debug)]
pub struct Header {
    /// One for each recipient.
    pub stanzas: Vec<Stanza>,
    mac: Vec<u8>,
    /// Everything that the MAC covers.
    covered: Vec<u8>,
    /// Its bytes in the file.
    pub length: u64,
}

impl Header {
    /// For these recipients, as bytes.
    pub fn write(recipients: &[Recipient], key: &FileKey) -> Result<Vec<u8>, Error> {
        if recipients.is_empty() || recipients.len() > MAX_STANZAS {
            return Err(Error::Header("a file has 1 to 1024 recipients"));
        }
        let mut bytes = VERSION.to_vec();
        for recipient in recipients {
            recipient.wrap(key)?.write(&mut bytes);
        }
        bytes.extend_from_slice(b"---");
        let mac = mac(key, &bytes);
        bytes.push(b' ');
        bytes.extend_from_slice(base64(&mac).as_bytes());
        bytes.push(b'\n');
        if bytes.len() > MAX_HEADER {
            return Err(Error::Header("it is longer than 1 MiB: fewer recipients"));
        }
        Ok(bytes)
    }

    /// Reads up to the payload. `Ok(Err(…))`: the bytes are no header.
    pub fn read(from: &mut dyn BufRead) -> std::io::Result<Result<Self, Error>> {
        let mut lines = Lines {
            from,
            left: MAX_HEADER,
            line: Vec::new(),
        };
        let mut header = Self {
            stanzas: Vec::new(),
            mac: Vec::new(),
            covered: Vec::new(),
            length: 0,
        };
        loop {
            match header.take(&mut lines)? {
                Ok(true) => {
                    header.length = (MAX_HEADER - lines.left) as u64;
                    return Ok(Ok(header));
                }
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    /// Takes the next part; whether it was the last.
    fn take(&mut self, lines: &mut Lines<'_>) -> std::io::Result<Result<bool, Error>> {
        if !lines.next()? {
            return Ok(Err(Error::Header("it ends early or is longer than 1 MiB")));
        }
        if self.covered.is_empty() {
            if lines.line != VERSION {
                return Ok(Err(Error::Header(
                    "it does not begin with `age-encryption.org/v1`",
                )));
            }
        } else if let Some(rest) = lines.line.strip_prefix(b"---") {
            let mac = text_of(rest).and_then(|rest| from_base64(rest.strip_prefix(' ')?));
            let Some(mac) = mac.filter(|mac| mac.len() == 32) else {
                return Ok(Err(Error::Header("its last line has no MAC")));
            };
            self.mac = mac;
            self.covered.extend_from_slice(b"---");
            return Ok(Ok(true));
        } else if let Some(mut stanza) = text_of(&lines.line).and_then(Stanza::opening) {
            if self.stanzas.len() == MAX_STANZAS {
                return Ok(Err(Error::Header("it has more than 1024 recipients")));
            }
            self.covered.extend_from_slice(&lines.line);
            loop {
                if !lines.next()? {
                    return Ok(Err(Error::Header("it ends early or is longer than 1 MiB")));
                }
                self.covered.extend_from_slice(&lines.line);
                let body = text_of(&lines.line).filter(|line| line.len() <= COLUMNS);
                let Some(body) = body.and_then(from_base64) else {
                    return Ok(Err(Error::Header(
                        "a stanza's body is not canonical base64",
                    )));
                };
                stanza.body.extend_from_slice(&body);
                if body.len() < COLUMNS / 4 * 3 {
                    self.stanzas.push(stanza);
                    return Ok(Ok(false));
                }
            }
        } else {
            return Ok(Err(Error::Header("a line is neither a stanza nor the end")));
        }
        self.covered.extend_from_slice(&lines.line);
        Ok(Ok(false))
    }

    /// The file key, by the first identity that has a stanza; then the MAC is checked.
    pub fn unwrap(&self, identities: &[Identity]) -> Result<FileKey, Error> {
        for identity in identities {
            for stanza in &self.stanzas {
                if let Some(key) = identity.unwrap(stanza)? {
                    self.check(&key)?;
                    return Ok(key);
                }
            }
        }
        Err(Error::NoMatch {
            recipients: self.recipients(),
        })
    }

    /// The MAC.
    pub fn check(&self, key: &FileKey) -> Result<(), Error> {
        let expected = mac(key, &self.covered);
        constant_time::verify_slices_are_equal(&expected, &self.mac).map_err(|_| Error::HeaderMac)
    }

    /// Each type of recipient with its number: `2 × mlkem768x25519`.
    pub fn recipients(&self) -> String {
        let mut counts = BTreeMap::new();
        for stanza in &self.stanzas {
            *counts.entry(stanza.kind.as_str()).or_insert(0) += 1;
        }
        if counts.is_empty() {
            return "nobody".to_owned();
        }
        let each = counts
            .iter()
            .map(|(kind, count)| format!("{count} × {}", short(kind)));
        each.collect::<Vec<_>>().join(", ")
    }

    /// That of the weakest recipient, who opens the file.
    pub fn resistance(&self) -> Resistance {
        let each = self.stanzas.iter().map(|stanza| of_stanza(&stanza.kind));
        each.max().unwrap_or(Resistance::NotKnown)
    }

    /// The first kind of recipient of which nothing is known.
    pub fn unknown_kind(&self) -> Option<&str> {
        let mut kinds = self.stanzas.iter().map(|stanza| stanza.kind.as_str());
        kinds.find(|kind| of_stanza(kind) == Resistance::NotKnown)
    }
}

/// A kind as it is shown: that of another may be as long as a line.
pub fn short(kind: &str) -> String {
    kind.chars().take(40).collect()
}

struct Lines<'a> {
    from: &'a mut dyn BufRead,
    left: usize,
    line: Vec<u8>,
}

impl Lines<'_> {
    /// The next line with its end; false if there is none within the bound.
    fn next(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        let mut bounded = std::io::Read::take(&mut *self.from, self.left as u64);
        self.left -= bounded.read_until(b'\n', &mut self.line)?;
        Ok(self.line.ends_with(b"\n"))
    }
}

/// Without its end.
fn text_of(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line.strip_suffix(b"\n")?).ok()
}

fn mac(key: &FileKey, covered: &[u8]) -> Vec<u8> {
    let key = key.derive(&[], b"header");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key.as_ref());
    aws_lc_rs::hmac::sign(&key, covered).as_ref().to_vec()
}
