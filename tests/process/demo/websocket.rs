//! The WebSocket echo, frame by frame (RFC 6455 §5.2).
#![allow(clippy::cast_possible_truncation)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::process::Demo;
use crate::support::within;

/// A frame as a client sends it: masked (RFC 6455 §5.3).
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            frame.push(0x80 | 0x7e);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 0x7f);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    let bytes = payload.iter().zip(mask.iter().cycle());
    frame.extend(bytes.map(|(byte, mask)| byte ^ mask));
    frame
}

/// The same frame as a server sends it.
fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = masked(first, payload);
    let header = frame.len() - payload.len() - 4;
    frame[1] &= 0x7f;
    frame.truncate(header);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn a_websocket_gives_every_message_back() {
    let demo = Demo::start();
    let mut stream = demo.connect("hybrid:", "http/1.1").await;
    let hello = "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                 upgrade: websocket\r\nsec-websocket-version: 13\r\n\
                 sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(hello.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");

    let long = vec![b'x'; 70_000];
    for (sent, first, payload) in [
        (0x81, 0x81, &b"hello"[..]),
        (0x82, 0x82, &long[..300]),
        (0x82, 0x82, &long),
        (0x01, 0x01, b"two "),
        (0x80, 0x80, b"parts"),
        (0x89, 0x8a, b"ping"),
        (0x88, 0x88, &[0x03, 0xe8]),
    ] {
        stream.write_all(&masked(sent, payload)).await.unwrap();
        let expected = unmasked(first, payload);
        let mut echoed = vec![0; expected.len()];
        within(stream.read_exact(&mut echoed)).await.unwrap();
        assert_eq!(echoed, expected, "{sent:#x}");
    }
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty(), "{rest:?}");
}
