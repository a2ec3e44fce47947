//! Clients that reset what nobody reads: their upload has stalled, and the kernel holds more of it. Nobody waits
//! for them.

use std::future::pending;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::{
    self, DATA, END_HEADERS, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, fields, frame,
};
use crate::support::egress::egress;
use crate::support::http::switched;
use crate::support::{Setup, Sidecar, read_head, upstream, within};

/// Reads nothing behind a head, if one comes; `/ws` is a WebSocket.
async fn deaf(head: bool) -> std::net::SocketAddr {
    upstream(move |mut stream| async move {
        if head
            && let Some(head) = read_head(&mut stream).await
            && head.contains(" /ws ")
        {
            stream.write_all(&switched(&head)).await.unwrap();
        }
        pending::<()>().await;
    })
    .await
}

/// Sends until nothing more is taken.
async fn flood(client: &mut (impl AsyncWrite + Unpin)) {
    let block = vec![b'x'; 64 * 1024];
    let mut sent = 0_u64;
    while let Ok(written) = timeout(Duration::from_millis(500), client.write(&block)).await {
        sent += written.unwrap() as u64;
        assert!(sent < 1 << 30, "everything is taken");
    }
}

async fn is_noticed(sidecar: &Sidecar) {
    let gone = [("outcome", "client_gone")];
    sidecar
        .metric_reaches("hybridge_connections_total", &gone, 1.0)
        .await;
    assert_eq!(sidecar.metric("hybridge_requests_open", &[]).await, 0.0);
}

const POST: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4000000000\r\n\r\n";

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

async fn over_http1(head: &[u8]) {
    let sidecar = Setup::in_front_of(deaf(true).await).start();
    let mut client = sidecar.connect(&["http/1.1"]).await;
    client.write_all(head).await.unwrap();
    flood(&mut client).await;
    client.get_ref().0.set_zero_linger().unwrap();
    drop(client);
    is_noticed(&sidecar).await;
}

async fn at_an_egress(protocol: &str, head: &[u8]) {
    let server = Setup::in_front_of(deaf(protocol == "http").await)
        .listener(&format!("protocol = \"{protocol}\""))
        .start();
    let ca = String::from_utf8(server.ca.clone()).unwrap();
    let target = format!("localhost:{}", server.address.port());
    let more = format!("protocol = \"{protocol}\"");
    let egress = egress(&target, &ca, "", &more);
    let mut app = TcpStream::connect(egress.address).await.unwrap();
    app.write_all(head).await.unwrap();
    flood(&mut app).await;
    app.set_zero_linger().unwrap();
    drop(app);
    is_noticed(&egress).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_a_stalled_upload_is_noticed() {
    tokio::join!(
        over_http1(POST),
        over_http1(UPGRADE),
        at_an_egress("http", POST),
        at_an_egress("tcp", b""),
    );
}

/// It has ended its direction of a tunnel, and the server says nothing.
async fn half_closed(protocol: &str, head: &[u8]) {
    let sidecar = Setup::in_front_of(deaf(protocol == "http").await)
        .listener(&format!("protocol = \"{protocol}\""))
        .start();
    let mut client = sidecar.connect(&[]).await;
    client.write_all(head).await.unwrap();
    if protocol == "http" {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(within(client.read_u8()).await.unwrap());
        }
    }
    client.write_all(b"all of it").await.unwrap();
    client.shutdown().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let gone = [("outcome", "client_gone")];
    assert_eq!(
        sidecar.metric("hybridge_connections_total", &gone).await,
        0.0
    );
    client.get_ref().0.set_zero_linger().unwrap();
    drop(client);
    is_noticed(&sidecar).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_a_half_closed_tunnel_is_noticed() {
    tokio::join!(half_closed("http", UPGRADE), half_closed("tcp", b"hello"));
}

const PIECE: i64 = 16 * 1024;

/// A WebSocket over HTTP/2 whose window is used up.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_reset_behind_its_window_ends() {
    let sidecar = Setup::in_front_of(deaf(true).await).start();
    let mut client = frames::connect(sidecar.address, &sidecar.ca, "h2", None).await;
    frames::begin(&mut client, 1 << 20, 0).await;
    let block = fields(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/ws"),
        (":authority", "a"),
        ("sec-websocket-version", "13"),
    ]);
    let request = frame(HEADERS, END_HEADERS, 1, &block);
    client.write_all(&request).await.unwrap();
    // What the stream may still send, and the connection.
    let (mut stream, mut connection) = (0_i64, 65_535_i64);
    let piece = [b'x'; 16 * 1024];
    loop {
        while stream.min(connection) >= PIECE {
            let data = frame(DATA, 0, 1, &piece);
            within(client.write_all(&data)).await.unwrap();
            stream -= PIECE;
            connection -= PIECE;
        }
        let next = timeout(Duration::from_secs(1), frames::next(&mut client)).await;
        let Ok(next) = next else { break };
        let next = next.unwrap().unwrap();
        let grown = |payload: &[u8]| i64::from(u32::from_be_bytes(payload.try_into().unwrap()));
        match (next.kind, next.stream) {
            (WINDOW_UPDATE, 0) => connection += grown(&next.payload),
            (WINDOW_UPDATE, _) => stream += grown(&next.payload),
            // The initial window of a stream is in the settings, which are read already.
            (HEADERS, _) => {
                assert_eq!(next.status(), 200);
                stream += 512 * 1024;
            }
            (SETTINGS, _) => {}
            _ => panic!("{next:?}"),
        }
    }
    sidecar.metric_is("hybridge_requests_open", &[], 1.0).await;
    let reset = frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    client.write_all(&reset).await.unwrap();
    client.flush().await.unwrap();
    sidecar.metric_is("hybridge_requests_open", &[], 0.0).await;
}
