//! `/ws`: a WebSocket that gives every message back (RFC 6455). Payloads pass through piece by piece;
//! text is not checked for UTF-8, for it goes back to who wrote it.

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::reply::{Refusal, Reply, streamed};

/// RFC 6455 §1.3.
const MAGIC: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// RFC 6455 §7.4.1: protocol error.
const PROTOCOL_ERROR: [u8; 2] = 1002_u16.to_be_bytes();
/// RFC 6455 §5.5.
const MAX_CONTROL: u64 = 125;
const PIECE: usize = 16 * 1024;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// Agrees to a handshake and echoes from then on.
pub(super) fn upgrade(mut request: Request<Incoming>) -> Result<Reply, Refusal> {
    let accept = accept(&request)?;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(stream) = upgraded.await {
            // How it ends is the client's affair.
            let _ = echo(TokioIo::new(stream)).await;
        }
    });
    let mut reply = Response::new(streamed(Empty::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = reply.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(reply)
}

/// The response to the key of a handshake (RFC 6455 §4.2).
fn accept(request: &Request<Incoming>) -> Result<HeaderValue, Refusal> {
    let field = |name: HeaderName| {
        request
            .headers()
            .get(name)
            .map_or(&b""[..], HeaderValue::as_bytes)
    };
    let key = field(SEC_WEBSOCKET_KEY);
    let wrong = if !field(UPGRADE).eq_ignore_ascii_case(b"websocket") {
        "this path takes a WebSocket handshake"
    } else if field(SEC_WEBSOCKET_VERSION) != b"13" {
        "sec-websocket-version is not 13"
    } else if BASE64_STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
        return HeaderValue::try_from(accept_key(key)).map_err(|_| Refusal::bad("unusable key"));
    } else {
        "sec-websocket-key is not 16 bytes in base64"
    };
    Err(Refusal::bad(wrong))
}

fn accept_key(key: &[u8]) -> String {
    let joined = [key, MAGIC].concat();
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &joined))
}

/// A frame's header (RFC 6455 §5.2).
struct Header {
    first: u8,
    length: u64,
    mask: [u8; 4],
}

impl Header {
    /// `None` for a frame that a client must not send.
    async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Self>> {
        let first = stream.read_u8().await?;
        let second = stream.read_u8().await?;
        let length = match second & !MASKED {
            126 => u64::from(stream.read_u16().await?),
            127 => stream.read_u64().await?,
            short => u64::from(short),
        };
        let opcode = first & 0x0f;
        let control = opcode & 0x8 != 0;
        let bad = first & RESERVED != 0
            || second & MASKED == 0
            || !matches!(opcode, 0..=2 | CLOSE..=PONG)
            || control && (length > MAX_CONTROL || first & FIN == 0);
        if bad {
            return Ok(None);
        }
        let mut mask = [0; 4];
        stream.read_exact(&mut mask).await?;
        Ok(Some(Self {
            first,
            length,
            mask,
        }))
    }

    fn opcode(&self) -> u8 {
        self.first & 0x0f
    }
}

/// Gives messages back until the client closes or breaks the protocol.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    loop {
        let Some(header) = Header::read(&mut stream).await? else {
            stream.write_all(&head(FIN | CLOSE, 2)).await?;
            stream.write_all(&PROTOCOL_ERROR).await?;
            return stream.shutdown().await;
        };
        match header.opcode() {
            PING => give_back(&mut stream, &header, Some(FIN | PONG)).await?,
            PONG => give_back(&mut stream, &header, None).await?,
            _ => give_back(&mut stream, &header, Some(header.first)).await?,
        }
        if header.opcode() == CLOSE {
            return stream.shutdown().await;
        }
    }
}

/// Unmasks a payload and sends it behind `first`; without one it is read and dropped.
async fn give_back<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    header: &Header,
    first: Option<u8>,
) -> io::Result<()> {
    let mut out = first.map_or_else(Vec::new, |first| head(first, header.length));
    let mut piece = vec![0; PIECE];
    let mut done = 0_u64;
    while done < header.length {
        let left = usize::try_from(header.length - done).unwrap_or(PIECE);
        let read = stream.read(&mut piece[..left.min(PIECE)]).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let masked = piece[..read].iter().zip(done..);
        out.extend(masked.map(|(byte, at)| byte ^ header.mask[at as usize % 4]));
        done += read as u64;
        if first.is_some() {
            stream.write_all(&out).await?;
        }
        out.clear();
    }
    stream.write_all(&out).await?;
    stream.flush().await
}

/// The header of a frame that a server sends: never masked.
fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    if let Ok(short @ 0..=125) = u8::try_from(length) {
        head.push(short);
    } else if let Ok(medium) = u16::try_from(length) {
        head.push(126);
        head.extend(medium.to_be_bytes());
    } else {
        head.push(127);
        head.extend(length.to_be_bytes());
    }
    head
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_rfc_6455_is_answered_as_there() {
        let accepted = accept_key(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accepted, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn a_frame_that_is_not_masked_ends_it_with_1002() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(&[FIN | 1, 1, b'a']).await.unwrap();
        echo(server).await.unwrap();
        let mut reply = Vec::new();
        client.read_to_end(&mut reply).await.unwrap();
        assert_eq!(reply, [0x88, 2, 0x03, 0xea]);
    }
}
