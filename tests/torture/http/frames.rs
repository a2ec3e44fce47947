//! HTTP/2 by hand: frames that no library would send, read as they come.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::support::client_config;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const INITIAL_WINDOW: u16 = 4;

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The status in the first response head of a connection (RFC 7541 §5.2, appendices A and B).
    pub(crate) fn status(&self) -> u16 {
        match self.payload[..] {
            [0x88, ..] => 200,
            [0x89, ..] => 204,
            [0x8c, ..] => 400,
            [0x8d, ..] => 404,
            [0x48, length, ref rest @ ..] if length & 0x80 != 0 => {
                huffman_digits(&rest[..usize::from(length & 0x7f)])
            }
            ref other => panic!("no status: {}", other.escape_ascii()),
        }
    }
}

/// A number in Huffman code: 0 to 2 have five bits, 3 to 9 six.
fn huffman_digits(code: &[u8]) -> u16 {
    let bits: Vec<u16> = code
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1)))
        .collect();
    let (mut at, mut number) = (0, 0);
    let value = |at: usize, count: usize| {
        bits[at..at + count]
            .iter()
            .fold(0, |all, bit| all << 1 | bit)
    };
    while at + 5 <= bits.len() {
        let (digit, length) = match value(at, 5) {
            digit @ 0..=2 => (digit, 5),
            _ if at + 6 > bits.len() => break,
            _ => match value(at, 6) {
                digit @ 0x19..=0x1f => (digit - 0x19 + 3, 6),
                _ => break,
            },
        };
        number = number * 10 + digit;
        at += length;
    }
    number
}

/// A frame to send.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// Fields as literals without indexing (RFC 7541 §6.2.2).
pub(crate) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// The fields with which a request begins.
pub(crate) fn request(method: &str, path: &str) -> Vec<u8> {
    fields(&[
        (":method", method),
        (":scheme", "https"),
        (":path", path),
        (":authority", "a"),
    ])
}

/// A GET with an empty body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    let block = request("GET", path);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// A POST whose body follows.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &request("POST", path))
}

/// A TLS client with a receive buffer of a chosen size, as on a slow link.
pub(crate) async fn connect(
    address: SocketAddr,
    ca: &[u8],
    alpn: &str,
    buffer: Option<u32>,
) -> TlsStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(size) = buffer {
        socket.set_recv_buffer_size(size).unwrap();
    }
    let stream = socket.connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let offered: &[&str] = if alpn.is_empty() { &[] } else { &[alpn] };
    tokio_rustls::TlsConnector::from(Arc::new(client_config(ca, offered)))
        .connect(name, stream)
        .await
        .unwrap()
}

/// Sends the preface and settings: the window of each stream, and that of the connection.
pub(crate) async fn begin<S: AsyncWriteExt + Unpin>(stream: &mut S, window: u32, connection: u32) {
    let setting = [&INITIAL_WINDOW.to_be_bytes()[..], &window.to_be_bytes()].concat();
    let mut preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    preface.extend(frame(SETTINGS, 0, 0, &setting));
    if connection > 0 {
        preface.extend(frame(WINDOW_UPDATE, 0, 0, &connection.to_be_bytes()));
    }
    stream.write_all(&preface).await.unwrap();
}

/// Reads one frame, acknowledging settings and pings on the way; `None` at the end.
pub(crate) async fn next<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
) -> std::io::Result<Option<Frame>> {
    loop {
        let mut head = [0; 9];
        match stream.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await?;
        let (kind, flags) = (head[3], head[4]);
        if matches!(kind, SETTINGS | PING) && flags & ACK == 0 {
            let content = if kind == PING { &payload[..] } else { &[] };
            stream.write_all(&frame(kind, ACK, 0, content)).await?;
            continue;
        }
        return Ok(Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        }));
    }
}
