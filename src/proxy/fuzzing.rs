//! Doors for the fuzz targets into what parses a peer's bytes. Built only for them (`cfg(fuzzing)`) and for
//! the test of their seeds.

use std::net::{IpAddr, Ipv4Addr};

use bytes::BytesMut;

use crate::proxy::codec::h1::body::{Decoded, Decoder};
use crate::proxy::codec::h1::head_scanner::HeadScan;
use crate::proxy::codec::h1::request::{RequestHead, no_fields};
use crate::proxy::codec::headers::ForwardedHeaders;
use crate::proxy::codec::message::{Frame, Framing};
use crate::proxy::settings::ForwardedMode;
use crate::signature::fuzzing::{Client, Outcome, SIGNED};

/// A request head that was accepted.
pub struct Rewritten {
    /// What it says.
    pub facts: RequestMeta,
    /// How it goes to an HTTP/1.1 upstream.
    pub rewritten: Vec<u8>,
}

/// What a request head says, as far as the proxy acts on it.
#[derive(Debug, Eq, PartialEq)]
pub struct RequestMeta {
    pub method: String,
    pub target: String,
    pub host: Vec<u8>,
    pub framing: String,
    pub websocket: bool,
}

const DEFAULT_HOST: &str = "127.0.0.1:8000";

/// Reads and rewrites the head that the bytes begin with, if it is accepted.
pub fn rewrite(data: &[u8], max_fields: usize) -> Option<Rewritten> {
    let length = HeadScan::default().advance(data, 64 * 1024).ok()??;
    let mut fields_buf = no_fields();
    let head = RequestHead::parse(&data[..length], &mut fields_buf, max_fields).ok()?;
    let identity = identity();
    let _ = head.to_http2(&identity, DEFAULT_HOST, "http");
    let mut out = BytesMut::new();
    head.write_to(&mut out, &identity, DEFAULT_HOST);
    Some(Rewritten {
        facts: RequestMeta {
            method: head.method.to_owned(),
            target: head.target.into_owned(),
            host: head.host.unwrap_or(DEFAULT_HOST.as_bytes()).to_vec(),
            framing: format!("{:?}", head.framing),
            websocket: head.websocket,
        },
        rewritten: out.to_vec(),
    })
}

/// A head that is accepted says the same once it is rewritten; then nothing changes any more. Whether it is accepted.
pub fn says_the_same(data: &[u8]) -> bool {
    let Some(first) = rewrite(data, 100) else {
        return false;
    };
    let shown = first.rewritten.escape_ascii();
    // Room for the fields that the proxy adds.
    let second = rewrite(&first.rewritten, 256);
    assert!(
        second.is_some(),
        "what we wrote is refused by ourselves: {shown}"
    );
    let facts = second.as_ref().map(|second| &second.facts);
    assert_eq!(Some(&first.facts), facts, "{shown}");
    // The first pass gives a host to a client of HTTP/1.0 that named none.
    let second = second.map(|second| second.rewritten);
    let third = second.as_deref().and_then(|second| rewrite(second, 256));
    assert_eq!(second, third.map(|third| third.rewritten), "{shown}");
    true
}

fn identity() -> ForwardedHeaders {
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    ForwardedHeaders::new(client, Vec::new(), "X25519MLKEM768", ForwardedMode::Replace)
}

/// A request with signatures that was verified twice.
pub struct VerifiedTwice {
    pub outcomes: [Outcome; 2],
    /// Whether it says of each component what was signed.
    pub is_as_signed: bool,
    /// Whether the body is the one that was signed.
    pub body_is_as_signed: bool,
}

/// Verifies the signatures, twice, of the request that the bytes begin with, if its head is accepted. The client's
/// own signatures stand where `$c` and `$p` are.
pub fn verify_twice(client: &Client, data: &[u8]) -> Option<VerifiedTwice> {
    let filled = client.fill(std::str::from_utf8(data).ok()?);
    let filled = filled.as_bytes();
    let length = HeadScan::default().advance(filled, 64 * 1024).ok()??;
    let (head, body) = filled.split_at(length);
    let mut fields_buf = no_fields();
    let head = RequestHead::parse(head, &mut fields_buf, 100).ok()?;
    let identity = identity();
    let message = head.message(&identity);
    let says =
        |(name, value): &(&str, &str)| message.component(name).ok().as_deref() == Some(*value);
    Some(VerifiedTwice {
        outcomes: client.verify_twice(&message, body)?,
        is_as_signed: message.has_body && SIGNED.iter().all(says),
        body_is_as_signed: body == b"hello",
    })
}

/// What a chunked body came to.
#[derive(Debug, Eq, PartialEq)]
pub enum Body {
    /// Content, trailers, and the bytes behind its end.
    Whole(Vec<u8>, Vec<(String, Vec<u8>)>, Vec<u8>),
    /// The bytes ran out; what was content until then.
    Unfinished(Vec<u8>),
    /// Refused.
    Refused,
}

/// Decodes a chunked body that arrives in pieces.
pub fn decode_chunked<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Body {
    let mut decoder = Decoder::new(Framing::Chunked);
    let (mut buf, mut content, mut trailers) = (BytesMut::new(), Vec::new(), Vec::new());
    for piece in pieces {
        buf.extend_from_slice(piece);
        while !decoder.is_done() {
            match decoder.decode(&mut buf) {
                Ok(Decoded::Frame(Frame::Data(data))) => content.extend_from_slice(&data),
                Ok(Decoded::Frame(Frame::Trailers(fields))) => {
                    let fields = fields.iter();
                    trailers.extend(fields.map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())));
                }
                Ok(Decoded::NeedMore) => break,
                Ok(Decoded::End) => {}
                Err(_) => return Body::Refused,
            }
        }
    }
    if decoder.is_done() {
        Body::Whole(content, trailers, buf.to_vec())
    } else {
        Body::Unfinished(content)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn seeds(target: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
        let folder = format!("{}/fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(folder).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(&path).unwrap())
        })
    }

    #[test]
    fn the_seeds_of_request_heads_say_the_same_rewritten() {
        let accepted = seeds("request_head").filter(|(_, seed)| says_the_same(seed));
        assert!(accepted.count() > 4);
    }

    /// Without one that is accepted, the target would find nothing.
    #[test]
    fn the_seeds_of_signatures_come_to_what_their_names_say() {
        let client = Client::new().unwrap();
        let mut accepted = 0;
        for (name, seed) in seeds("signature_input") {
            let verified = verify_twice(&client, &seed).unwrap();
            let [first, again] = verified.outcomes;
            let (expected, more) = name.split_once('-').unwrap_or((&name, ""));
            assert_eq!(first.result, expected, "{name}");
            if expected == "ok" {
                accepted += 1;
                assert_eq!(again.result, "replayed", "{name}");
                assert!(verified.is_as_signed, "{name}");
                assert_eq!(first.body, more != "other_body", "{name}");
            }
        }
        assert!(accepted > 2, "{accepted}");
    }
}
