//! Connections to a server that are kept for the requests of apps: how they end, and who says how they were keyed.

use std::io::ErrorKind;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::egress::egress;
use crate::support::http::{h2_exchange, h2_request, ok, read_request, read_response};
use crate::support::{Setup, Sidecar, upstream, within};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

fn to(far: &Sidecar) -> Sidecar {
    let target = format!("localhost:{}", far.address.port());
    let ca = std::str::from_utf8(&far.ca).unwrap();
    egress(&target, ca, "", "protocol = \"http\"")
}

/// RFC 8446 §6.1: the far side takes an end without close_notify for a truncation, and resets its upstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_ends_with_close_notify_and_one_that_broke_off_does_not() {
    let (ended, mut ends) = unbounded_channel();
    let server = upstream(move |mut stream: TcpStream| {
        let ended = ended.clone();
        async move {
            let orderly = loop {
                match read_request(&mut stream).await {
                    Ok(Some(request)) => {
                        let last = request.first_line().contains("/last");
                        let close = if last { "connection: close\r\n" } else { "" };
                        let head = format!("HTTP/1.1 200 OK\r\n{close}content-length: 0\r\n\r\n");
                        stream.write_all(head.as_bytes()).await.unwrap();
                    }
                    Ok(None) => break true,
                    Err(error) => break error.kind() != ErrorKind::ConnectionReset,
                }
            };
            let _ = ended.send(orderly);
        }
    });
    let far = Setup::in_front_of(server.await)
        .listener("protocol = \"tcp\"")
        .start();
    let egress = to(&far);
    let mut app = TcpStream::connect(egress.address).await.unwrap();
    app.write_all(b"GET /last HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(
        within(read_response(&mut app, false))
            .await
            .unwrap()
            .status(),
        200
    );
    assert!(within(ends.recv()).await.unwrap(), "an orderly end");
    let mut app = TcpStream::connect(egress.address).await.unwrap();
    app.write_all(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf")
        .await
        .unwrap();
    // The server is asked once the request is on its way.
    egress
        .metric_reaches("hybridge_handshakes_total", &[], 2.0)
        .await;
    app.set_zero_linger().unwrap();
    drop(app);
    assert!(
        !within(ends.recv()).await.unwrap(),
        "a request that broke off"
    );
}

/// Of an interim response as of the final one.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_of_the_keys_in_an_interim_response_does_not_reach_the_app() {
    let server = upstream(|mut stream: TcpStream| async move {
        while let Ok(Some(_)) = read_request(&mut stream).await {
            let early =
                b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nX-TLS-Key-Exchange: none\r\n\r\n";
            stream.write_all(early).await.unwrap();
            stream.write_all(&ok("done")).await.unwrap();
        }
    });
    let far = Setup::in_front_of(server.await)
        .listener("protocol = \"tcp\"")
        .start();
    let egress = to(&far);
    let mut app = TcpStream::connect(egress.address).await.unwrap();
    app.write_all(GET).await.unwrap();
    let early = within(read_response(&mut app, false)).await.unwrap();
    assert_eq!((early.status(), early.field("link")), (103, Some("</a>")));
    assert_eq!(early.field("x-tls-key-exchange"), None);
    let last = within(read_response(&mut app, false)).await.unwrap();
    assert_eq!(last.field("x-tls-key-exchange"), Some("X25519MLKEM768"));
    let stream = TcpStream::connect(egress.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let asked = h2_request("GET", "/").body(()).unwrap();
    let (response, ..) = h2_exchange(&client, asked, Bytes::new()).await.unwrap();
    assert_eq!(response.headers()["x-tls-key-exchange"], "X25519MLKEM768");
}
