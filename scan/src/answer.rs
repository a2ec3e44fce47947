//! What a server answers to a ClientHello, read no further than its first message (RFC 8446 §4.1.3).

use serde::Serialize;

use crate::hello::TLS12;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const CHANGE_CIPHER_SPEC: u8 = 20;
const SERVER_HELLO: u8 = 2;
/// The level of an alert that ends nothing (RFC 5246 §7.2).
const WARNING: u8 = 1;
const CLOSE_NOTIFY: u8 = 0;
/// The alerts that mean "none of these groups or suites", "not this version" and "none that is strong enough".
const HANDSHAKE_FAILURE: u8 = 40;
const PROTOCOL_VERSION: u8 = 70;
const INSUFFICIENT_SECURITY: u8 = 71;
const EXT_SUPPORTED_VERSIONS: u16 = 43;
const EXT_KEY_SHARE: u16 = 51;
/// The random value that makes a ServerHello a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// Bytes of a ServerHello at most; its key share is 1.6 KiB.
const MESSAGE: usize = 1 << 14;
/// Bytes read before the first message is whole, at most.
const FLOOD: usize = 1 << 16;

/// The first answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The server goes on with this version and group.
    ServerHello {
        /// The version on the wire.
        version: u16,
        /// The group of its key share; none before TLS 1.3.
        group: Option<u16>,
    },
    /// The server asks for a share of this group.
    Retry {
        /// The group that it would take.
        group: Option<u16>,
    },
    /// The server refuses, with this alert.
    Alert(u8),
    /// It speaks HTTP without TLS.
    Http,
    /// It speaks something else.
    NotTls,
    /// More than a first answer can be.
    Flood,
    /// The connection was closed or reset without an answer.
    Closed,
    /// Nothing came in time.
    Silent,
}

impl Answer {
    /// The group that the server chose, by either message.
    pub fn group(self) -> Option<u16> {
        match self {
            Self::ServerHello { group, .. } | Self::Retry { group } => group,
            _ => None,
        }
    }

    /// Whether nothing was said: that may be chance.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::Closed | Self::Silent)
    }

    /// Whether it says that the server takes none of what was offered. Any other alert has another reason,
    /// such as a name that the server does not know.
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Alert(HANDSHAKE_FAILURE | PROTOCOL_VERSION | INSUFFICIENT_SECURITY)
        )
    }

    /// Whether the server speaks TLS, even if it refuses.
    pub fn is_tls(self) -> bool {
        matches!(
            self,
            Self::ServerHello { .. } | Self::Retry { .. } | Self::Alert(_)
        )
    }
}

/// Reads an answer out of bytes as they arrive.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    message: Vec<u8>,
    total: usize,
}

impl Reader {
    /// Takes more bytes; the answer once it is known.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Answer> {
        self.total += bytes.len();
        self.bytes.extend_from_slice(bytes);
        loop {
            if let Some(answer) = self.record() {
                return Some(answer);
            }
            let Some((header, rest)) = self.bytes.split_first_chunk::<5>() else {
                break;
            };
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let Some(fragment) = rest.get(..length) else {
                break;
            };
            match header[0] {
                ALERT => match fragment {
                    // Before TLS 1.3 a warning such as `unrecognized_name` may precede the ServerHello.
                    [WARNING, description, ..] if *description != CLOSE_NOTIFY => {}
                    [_, description, ..] => return Some(Answer::Alert(*description)),
                    _ => return Some(Answer::NotTls),
                },
                HANDSHAKE => self.message.extend_from_slice(fragment),
                // Of the compatibility mode (RFC 8446 appendix D.4).
                _ => {}
            }
            self.bytes.drain(..5 + length);
            if let Some(answer) = self.hello() {
                return Some(answer);
            }
        }
        (self.total > FLOOD).then_some(Answer::Flood)
    }

    /// What the first bytes show when they are no TLS record.
    fn record(&self) -> Option<Answer> {
        let first = *self.bytes.first()?;
        if self.bytes.starts_with(b"HTTP/") {
            return Some(Answer::Http);
        }
        let tls = matches!(first, ALERT | HANDSHAKE | CHANGE_CIPHER_SPEC);
        let version = self.bytes.get(1).is_none_or(|major| *major == 3);
        let could_be_http = b"HTTP/".starts_with(&self.bytes) && self.bytes.len() < 5;
        (!(could_be_http || tls && version)).then_some(Answer::NotTls)
    }

    fn hello(&self) -> Option<Answer> {
        let (header, rest) = self.message.split_first_chunk::<4>()?;
        if header[0] != SERVER_HELLO {
            return Some(Answer::NotTls);
        }
        let length = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        if length > MESSAGE {
            return Some(Answer::Flood);
        }
        let body = rest.get(..length)?;
        Some(server_hello(body).unwrap_or(Answer::NotTls))
    }
}

fn server_hello(body: &[u8]) -> Option<Answer> {
    let mut rest = Cursor(body);
    let mut version = rest.u16()?;
    let retry = rest.take(32)? == RETRY;
    let session = usize::from(rest.take(1)?[0]);
    rest.take(session)?;
    rest.take(2 + 1)?; // cipher_suite, compression method
    let mut group = None;
    if !rest.0.is_empty() {
        let length = usize::from(rest.u16()?);
        let mut extensions = Cursor(rest.take(length)?);
        while !extensions.0.is_empty() {
            let kind = extensions.u16()?;
            let length = usize::from(extensions.u16()?);
            let mut data = Cursor(extensions.take(length)?);
            match kind {
                EXT_SUPPORTED_VERSIONS => version = data.u16()?,
                EXT_KEY_SHARE => group = Some(data.u16()?),
                _ => {}
            }
        }
    }
    if version <= TLS12 {
        group = None;
    }
    Some(if retry {
        Answer::Retry { group }
    } else {
        Answer::ServerHello { version, group }
    })
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(random: [u8; 32], extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend(random);
        body.extend([0, 0x13, 0x01, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut record = vec![22, 3, 3];
        record.extend((body.len() as u16 + 4).to_be_bytes());
        record.extend([2, 0]);
        record.extend((body.len() as u16).to_be_bytes());
        record.extend(body);
        record
    }

    const RETRIED: [u8; 12] = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0x11, 0xec];

    #[test]
    fn a_hello_retry_request_names_the_group_however_it_arrives() {
        let bytes = hello(RETRY, &RETRIED);
        for cut in 1..bytes.len() {
            let mut reader = Reader::default();
            assert_eq!(reader.take(&bytes[..cut]), None, "{cut}");
            let answer = reader.take(&bytes[cut..]);
            assert_eq!(
                answer,
                Some(Answer::Retry {
                    group: Some(0x11ec)
                }),
                "{cut}"
            );
        }
    }

    #[test]
    fn a_server_hello_without_extensions_is_an_old_version() {
        let mut bytes = hello([7; 32], &[]);
        bytes.truncate(bytes.len() - 2);
        bytes[4] -= 2;
        bytes[8] -= 2;
        let expected = Answer::ServerHello {
            version: 0x0303,
            group: None,
        };
        assert_eq!(Reader::default().take(&bytes), Some(expected));
    }

    #[test]
    fn alerts_http_and_noise_are_told_apart() {
        let answer = |bytes: &[u8]| Reader::default().take(bytes);
        assert_eq!(answer(&[21, 3, 3, 0, 2, 2, 40]), Some(Answer::Alert(40)));
        assert_eq!(answer(b"HTTP/1.1 400 Bad Request"), Some(Answer::Http));
        assert_eq!(answer(b"HTT"), None);
        assert_eq!(answer(b"SSH-2.0-x"), Some(Answer::NotTls));
        assert_eq!(answer(&[22, 9]), Some(Answer::NotTls));
        assert_eq!(answer(&[21, 3, 3, 0, 0]), Some(Answer::NotTls));
    }

    #[test]
    fn a_warning_before_the_server_hello_is_no_refusal() {
        let bytes = [&[21, 3, 3, 0, 2, 1, 112][..], &hello(RETRY, &RETRIED)].concat();
        let expected = Answer::Retry {
            group: Some(0x11ec),
        };
        assert_eq!(Reader::default().take(&bytes), Some(expected));
        let closing = Reader::default().take(&[21, 3, 3, 0, 2, 1, 0]);
        assert_eq!(closing, Some(Answer::Alert(0)));
    }

    #[test]
    fn endless_bytes_are_a_flood() {
        let record = [vec![20, 3, 3, 0x3f, 0xff], vec![1; 0x3fff]].concat();
        let mut reader = Reader::default();
        let answers: Vec<_> = (0..8).filter_map(|_| reader.take(&record)).collect();
        assert_eq!(answers.first(), Some(&Answer::Flood));
    }

    #[test]
    fn no_truncation_or_flipped_byte_panics() {
        let bytes = hello(RETRY, &RETRIED);
        for place in 0..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                let _ = Reader::default().take(&changed);
                let _ = Reader::default().take(&changed[..place]);
            }
        }
    }
}
