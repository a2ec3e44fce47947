//! Heads and trailers that no client would send.

use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Duration, timeout};

use super::frames::{END_HEADERS, END_STREAM, HEADERS, frame, request};

const CONTINUATION: u8 = 9;
const MAX_FRAME: usize = 16_384;

/// A field of any length, as a literal without indexing (RFC 7541 §6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let mut block = vec![0, name.len() as u8];
    block.extend_from_slice(name.as_bytes());
    let length = value.len();
    if length < 127 {
        block.push(length as u8);
    } else {
        let more = length - 127;
        block.extend_from_slice(&[127, (more % 128) as u8 | 0x80, (more / 128) as u8]);
    }
    block.extend_from_slice(value.as_bytes());
    block
}

/// A head, or trailers, of many frames.
fn block(stream: u32, block: &[u8], flags: u8) -> Vec<u8> {
    let pieces: Vec<&[u8]> = block.chunks(MAX_FRAME).collect();
    let frames = pieces.iter().enumerate().map(|(index, piece)| {
        let last = if index + 1 == pieces.len() {
            END_HEADERS
        } else {
            0
        };
        match index {
            0 => frame(HEADERS, flags | last, stream, piece),
            _ => frame(CONTINUATION, last, stream, piece),
        }
    });
    frames.collect::<Vec<_>>().concat()
}

/// A POST whose head, or whose trailers, have about so many bytes in 90 fields.
pub(super) fn large(stream: u32, size: usize, trailers: bool) -> Vec<u8> {
    let mut all = if trailers {
        Vec::new()
    } else {
        request("POST", "/")
    };
    for number in 0..90 {
        let value = format!("{number:x}").repeat(size / 90);
        all.extend(field(&format!("x-{number}"), &value[..size / 90]));
    }
    block(stream, &all, if trailers { END_STREAM } else { 0 })
}

/// A POST with one field again and again by its number in the table; every second time in trailers.
pub(super) fn indexed(stream: u32, count: usize) -> Vec<u8> {
    let mut head = request("POST", "/");
    if stream == 1 {
        // With indexing: the first of the dynamic table.
        head.extend_from_slice(b"\x40\x01x\x00");
    }
    let many = vec![0xbe; count];
    if stream % 4 == 1 {
        let head = [block(stream, &head, 0), block(stream, &many, END_STREAM)];
        return head.concat();
    }
    head.extend(many);
    block(stream, &head, 0)
}

/// An app that accepts nothing, and whose queue is full.
pub(super) async fn app_with_full_queue() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(300);
    while let Ok(Ok(stream)) = timeout(patience, TcpStream::connect(address)).await {
        queued.push(stream);
    }
    tokio::spawn(async move {
        let _held = (listener, queued);
        std::future::pending::<()>().await;
    });
    address
}
