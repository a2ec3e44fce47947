#![allow(clippy::unwrap_used)]
use super::*;

async fn read(wire: &'static [u8], by: usize) -> (Head, Vec<u8>) {
    let (client, mut server) = tokio::io::duplex(by);
    let writer = tokio::spawn(async move { server.write_all(wire).await });
    let mut h1 = H1::new(client);
    let head = h1.head(false).await.unwrap().unwrap();
    let (mut body, mut whole) = (head.body, Vec::new());
    while let Some(piece) = h1.piece(&mut body).await.unwrap() {
        whole.extend_from_slice(piece);
    }
    writer.await.unwrap().unwrap();
    (head, whole)
}

#[tokio::test]
async fn a_chunked_body_is_whole_however_it_is_cut() {
    let wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";
    for by in [1, 2, 7, 4096] {
        let (head, body) = read(wire, by).await;
        assert_eq!(
            (head.status, body.as_slice()),
            (200, b"hello world".as_slice()),
            "cut into {by}"
        );
    }
}

#[tokio::test]
async fn a_length_ends_the_body_and_close_is_seen() {
    let (head, body) = read(
        b"HTTP/1.1 502 x\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc",
        5,
    )
    .await;
    assert_eq!(
        (head.status, head.keep_alive, body.as_slice()),
        (502, false, b"abc".as_slice())
    );
}

#[tokio::test]
async fn a_body_cut_short_is_an_error() {
    let (client, mut server) = tokio::io::duplex(64);
    server
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        .await
        .unwrap();
    drop(server);
    let mut h1 = H1::new(client);
    let head = h1.head(false).await.unwrap().unwrap();
    assert_eq!(
        h1.drain(head.body).await.unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
}
