//! WebSocket: HTTP/1.1 Upgrade, and HTTP/2 extended CONNECT towards an HTTP/1.1 app.

use std::net::SocketAddr;

use crate::support::http::{read_h2, read_head, read_response, switched};
use crate::support::{Setup, Sidecar, upstream, within};
use bytes::Bytes;
use h2::ext::Protocol;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const UPGRADE: &[u8] = b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Switches, says `hello` in the same write, echoes, and says `bye` after the client's end.
async fn app() -> SocketAddr {
    upstream(|mut stream| async move {
        let head = read_head(&mut stream).await.unwrap().unwrap();
        assert!(head.starts_with("GET /chat HTTP/1.1\r\n"), "{head}");
        for field in [
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-protocol: chat",
            "x-tls-key-exchange: X25519MLKEM768",
        ] {
            assert_eq!(head.matches(field).count(), 1, "{field}: {head}");
        }
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-key: "));
        assert_eq!(key.unwrap().len(), 24, "{head}");
        let mut said = switched(&head);
        said.truncate(said.len() - 2);
        said.extend(b"sec-websocket-protocol: chat\r\n\r\nhello");
        stream.write_all(&said).await.unwrap();
        let mut said = [0; 1024];
        loop {
            match stream.read(&mut said).await.unwrap() {
                0 => break,
                count => stream.write_all(&said[..count]).await.unwrap(),
            }
        }
        stream.write_all(b"bye").await.unwrap();
    })
    .await
}

async fn counted(sidecar: &Sidecar, code: &str) {
    let labels = [("protocol", "websocket"), ("code", code)];
    sidecar
        .metric_reaches("hybridge_requests_total", &labels, 1.0)
        .await;
}

#[tokio::test]
async fn an_http1_upgrade_becomes_a_tunnel_with_half_close() {
    let sidecar = Setup::in_front_of(app().await).start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    // The first frame may come with the handshake.
    stream
        .write_all(&[UPGRADE, b"early"].concat())
        .await
        .unwrap();
    let answer = within(read_response(&mut stream, false)).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.field("upgrade"), Some("websocket"));
    assert_eq!(answer.field("connection"), Some("upgrade"));
    assert_eq!(
        answer.field("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    let mut said = [0; 10];
    within(stream.read_exact(&mut said)).await.unwrap();
    assert_eq!(&said, b"helloearly");
    for number in 0..20_u8 {
        stream.write_all(&[number; 7]).await.unwrap();
        let mut echo = [0; 7];
        within(stream.read_exact(&mut echo)).await.unwrap();
        assert_eq!(echo, [number; 7]);
    }
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"bye");
    counted(&sidecar, "1xx").await;
}

/// An extended CONNECT (RFC 8441).
fn connect() -> http::Request<()> {
    let mut request = http::Request::builder()
        .method("CONNECT")
        .uri("https://localhost/chat")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap();
    request
        .extensions_mut()
        .insert(Protocol::from_static("websocket"));
    request
}

/// A client that knows that the server speaks RFC 8441.
async fn http2(sidecar: &Sidecar) -> h2::client::SendRequest<Bytes> {
    let client = sidecar.http2().await;
    let probe = client.clone();
    crate::support::eventually("SETTINGS_ENABLE_CONNECT_PROTOCOL", async || {
        probe.is_extended_connect_protocol_enabled()
    })
    .await;
    client
}

#[tokio::test]
async fn an_http2_extended_connect_becomes_a_tunnel_with_half_close() {
    let sidecar = Setup::in_front_of(app().await).start();
    let mut client = http2(&sidecar).await;
    let (response, mut upload) = client.send_request(connect(), false).unwrap();
    let (head, mut body) = within(response).await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    assert_eq!(head.headers["sec-websocket-protocol"], "chat");
    for gone in ["sec-websocket-accept", "upgrade", "connection"] {
        assert!(!head.headers.contains_key(gone), "{gone}");
    }
    assert_eq!(within(body.data()).await.unwrap().unwrap(), "hello");
    for number in 0..20_u8 {
        upload
            .send_data(Bytes::from(vec![number; 7]), false)
            .unwrap();
        assert_eq!(within(body.data()).await.unwrap().unwrap(), vec![number; 7]);
    }
    upload.send_data(Bytes::new(), true).unwrap();
    assert_eq!(within(body.data()).await.unwrap().unwrap(), "bye");
    assert!(
        within(body.data())
            .await
            .is_none_or(|end| end.unwrap().is_empty())
    );
    counted(&sidecar, "2xx").await;
}

/// The client gets the end of the app as an end, and may go on until it has read it.
#[tokio::test]
async fn an_app_that_takes_no_more_behind_its_end_resets_no_http2_tunnel() {
    let app = upstream(|mut stream| async move {
        let head = read_head(&mut stream).await.unwrap().unwrap();
        stream.write_all(&switched(&head)).await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
        stream.shutdown().await.unwrap();
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let mut client = http2(&sidecar).await;
    let (response, mut upload) = client.send_request(connect(), false).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    upload.send_data(Bytes::from("quit"), false).unwrap();
    let (content, _) = within(read_h2(&mut body)).await.unwrap();
    assert_eq!(content, b"bye");
    for _ in 0..20 {
        upload.send_data(Bytes::from("more"), false).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    upload.send_data(Bytes::new(), true).unwrap();
    counted(&sidecar, "2xx").await;
    let reason = [("reason", "broken_body")];
    let failures = sidecar.metric("hybridge_upstream_failures_total", &reason);
    assert_eq!(failures.await, 0.0);
}

#[tokio::test]
async fn a_refused_upgrade_is_passed_on_and_the_connection_stays() {
    let app =
        crate::support::answering(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    for _ in 0..2 {
        stream.write_all(UPGRADE).await.unwrap();
        let answer = within(read_response(&mut stream, false)).await.unwrap();
        assert_eq!((answer.status(), &answer.body[..]), (403, &b"no"[..]));
        assert_eq!(answer.field("upgrade"), None);
    }
    let mut client = http2(&sidecar).await;
    let (response, _upload) = client.send_request(connect(), false).unwrap();
    let (head, mut body) = within(response).await.unwrap().into_parts();
    assert_eq!(head.status, 403);
    assert_eq!(within(body.data()).await.unwrap().unwrap(), "no");
    counted(&sidecar, "4xx").await;
}

#[tokio::test]
async fn an_http2_tunnel_stands_only_if_the_app_switched() {
    // To an extended CONNECT, any 2xx would mean that the tunnel stands.
    let app = crate::support::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno").await;
    let sidecar = Setup::in_front_of(app).start();
    let mut client = http2(&sidecar).await;
    let (response, _upload) = client.send_request(connect(), false).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 502);
}

/// Over HTTP/2 the key is the proxy's, so that only the proxy can verify what came of it (RFC 6455 §4.1).
#[tokio::test]
async fn an_http2_tunnel_stands_only_if_the_app_has_read_the_key() {
    for accept in ["", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"] {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n{accept}\r\n"
        );
        let app = crate::support::answering(Box::leak(head.into_boxed_str()).as_bytes()).await;
        let sidecar = Setup::in_front_of(app).start();
        let mut client = http2(&sidecar).await;
        let (response, _upload) = client.send_request(connect(), false).unwrap();
        assert_eq!(within(response).await.unwrap().status(), 502, "{accept}");
        let reason = [("reason", "bad_response")];
        let failed = sidecar.metric("hybridge_upstream_failures_total", &reason);
        assert_eq!(failed.await, 1.0);
    }
}

#[tokio::test]
async fn no_other_upgrade_crosses() {
    for upgrade in ["h2c", "tls/1.2", "h2c, x"] {
        let app = crate::support::http::echo_app().await;
        let sidecar = Setup::in_front_of(app).start();
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        let request = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: {upgrade}\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = within(read_response(&mut stream, false)).await.unwrap();
        let seen = String::from_utf8(answer.body.clone())
            .unwrap()
            .to_lowercase();
        assert_eq!(answer.status(), 200);
        for gone in ["upgrade", "http2-settings", "connection"] {
            assert!(!seen.contains(gone), "{seen}");
        }
    }
    // Nor does an extended CONNECT for anything else.
    let sidecar = Setup::in_front_of(crate::support::http::echo_app().await).start();
    let mut client = http2(&sidecar).await;
    let mut request = connect();
    request
        .extensions_mut()
        .insert(Protocol::from_static("connect-udp"));
    let (response, _upload) = client.send_request(request, false).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 501);
}
