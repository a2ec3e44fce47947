//! Pings of the server's side. The clock is the test's: nothing here waits for time to pass.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{advance, pause};
use tokio_rustls::client::TlsStream;

use super::frames::{ACK, DATA, PING, begin, connect, frame, get};
use crate::support::stage::Stage;
use crate::support::{Setup, read_head, upstream};

/// Longer than between two pings, and than a reply may take if nothing else is heard.
const NEXT_PING: Duration = Duration::from_secs(31);
const NO_REPLY: Duration = Duration::from_secs(21);

/// The next frame, answered by nobody: kind, flags and payload.
async fn raw(client: &mut TlsStream<TcpStream>) -> io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    client.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    client.read_exact(&mut payload).await?;
    Ok((head[3], head[4], payload))
}

async fn until(client: &mut TlsStream<TcpStream>, kind: u8, flags: u8) -> Vec<u8> {
    loop {
        let (found, its, payload) = raw(client).await.unwrap();
        if found == kind && its & ACK == flags {
            return payload;
        }
    }
}

/// A ping of our own: the server has read all that was sent before its reply comes.
async fn is_heard(client: &mut TlsStream<TcpStream>) {
    let ping = frame(PING, 0, 0, b"of ours!");
    client.write_all(&ping).await.unwrap();
    assert_eq!(until(client, PING, ACK).await, b"of ours!");
}

#[tokio::test]
async fn a_client_that_answers_late_stays_and_one_that_is_silent_goes() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process("workers = 1");
    let sidecar = setup.start();
    let mut client = connect(sidecar.address, &sidecar.ca, "h2", None).await;
    begin(&mut client, 1 << 20, 0).await;
    client.write_all(&get(1, "/hold")).await.unwrap();
    is_heard(&mut client).await;
    // The clock does not go on by itself while a task blocks a thread.
    let (_held, hold) = std::sync::mpsc::channel::<()>();
    let _holding = spawn_blocking(move || hold.recv());
    pause();
    advance(NEXT_PING).await;
    let ping = until(&mut client, PING, 0).await;
    // Its reply waits behind something else, as on a slow link.
    is_heard(&mut client).await;
    advance(NO_REPLY).await;
    is_heard(&mut client).await;
    let reply = frame(PING, ACK, 0, &ping);
    client.write_all(&reply).await.unwrap();
    is_heard(&mut client).await;
    // It counted: the next one is due.
    advance(NEXT_PING).await;
    until(&mut client, PING, 0).await;
    let end = tokio::spawn(async move { while raw(&mut client).await.is_ok() {} });
    for _ in 0..100 {
        if end.is_finished() {
            return;
        }
        advance(NO_REPLY).await;
        for _ in 0..100 {
            yield_now().await;
        }
    }
    panic!("a client that says nothing is served for ever");
}

/// As curl does, which widens its windows once and then says nothing for as long as they last.
#[tokio::test]
async fn a_client_that_reads_and_says_nothing_stays() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 48;
    let app = upstream(|mut stream: TcpStream| async move {
        let _ = read_head(&mut stream).await;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            PIECE * PIECES
        );
        let _ = stream.write_all(head.as_bytes()).await;
        for _ in 0..PIECES {
            let _ = stream.write_all(&vec![b'y'; PIECE]).await;
        }
        let _ = stream.read_u8().await;
    });
    let setup = Setup::in_front_of(app.await).process("workers = 1");
    let sidecar = setup.start();
    let mut client = connect(sidecar.address, &sidecar.ca, "h2", Some(64 * 1024)).await;
    begin(&mut client, 1 << 30, 1 << 30).await;
    client.write_all(&get(1, "/")).await.unwrap();
    let (_held, hold) = std::sync::mpsc::channel::<()>();
    let _holding = spawn_blocking(move || hold.recv());
    pause();
    let mut seen = 0;
    let mut wanted = PIECE;
    advance(NEXT_PING).await;
    while seen < PIECE * PIECES {
        // What a link lets through while a reply is waited for; the proxy fills up what it has sent.
        while seen < wanted {
            let (kind, _, payload) = raw(&mut client).await.expect("it is given up");
            seen += if kind == DATA { payload.len() } else { 0 };
        }
        wanted = (wanted + 4 * PIECE).min(PIECE * PIECES);
        for _ in 0..1000 {
            yield_now().await;
        }
        advance(NO_REPLY).await;
    }
}
