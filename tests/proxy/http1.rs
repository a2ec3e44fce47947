//! HTTP/1.0 and HTTP/1.1 clients: framing in both directions, keep-alive, pipelining, interim
//! responses, trailers, targets.

use crate::support::http::{
    Message, app, checksum, counted_app, echo_app, ok, pattern, read_chunk, read_head,
    read_request, read_response,
};
use crate::support::{Setup, Sidecar, answering, upstream, within};
use std::sync::atomic::Ordering;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

async fn client(sidecar: &Sidecar) -> TlsStream<TcpStream> {
    sidecar.connect(&["http/1.1"]).await
}

/// One request on a connection that stays.
async fn ask(stream: &mut TlsStream<TcpStream>, request: impl AsRef<[u8]>) -> Message {
    stream.write_all(request.as_ref()).await.unwrap();
    let to_head = request.as_ref().starts_with(b"HEAD ");
    within(read_response(stream, to_head)).await.unwrap()
}

#[tokio::test]
async fn alpn_chooses_the_version_and_none_means_http1() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some(&b"h2"[..])),
        (&["http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let mut stream = sidecar.connect(offered).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        if chosen != Some(b"h2") {
            let answer = ask(&mut stream, "GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(answer.status(), 200);
            assert!(answer.body.starts_with(b"GET /v1/models HTTP/1.1"));
        }
    }
}

#[tokio::test]
async fn an_http_1_0_client_gets_its_connection_closed_unless_it_asks() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let answer = sidecar.exchange(b"GET /a HTTP/1.0\r\n\r\n").await;
    // The name that curl --http1.0 offers in ALPN.
    let mut older = sidecar.connect(&["http/1.0"]).await;
    assert_eq!(older.get_ref().1.alpn_protocol(), Some(&b"http/1.0"[..]));
    older.write_all(b"GET /a HTTP/1.0\r\n\r\n").await.unwrap();
    let mut same = Vec::new();
    within(older.read_to_end(&mut same)).await.unwrap();
    assert!(same.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n"), "{answer}");

    let mut stream = client(&sidecar).await;
    for _ in 0..2 {
        let request = "GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
        let answer = ask(&mut stream, request).await;
        assert_eq!(answer.field("connection"), Some("keep-alive"));
    }
}

#[tokio::test]
async fn an_http_1_0_client_gets_a_chunked_answer_plain_and_closed() {
    let app = answering(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n",
    )
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let request = b"GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    let answer = String::from_utf8(sidecar.exchange(request).await).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "hello");
    assert!(!head.contains("transfer-encoding"), "{head}");
    assert!(head.contains("connection: close"), "{head}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (app, connections) = counted_app(|request| async move { ok(request.head) }).await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = client(&sidecar).await;
    let mut requests = String::new();
    for number in 0..20 {
        let head = format!("POST /{number} HTTP/1.1\r\nhost: a\r\ncontent-length: {number}");
        requests.extend([&head, "\r\n\r\n", &"x".repeat(number)]);
    }
    stream.write_all(requests.as_bytes()).await.unwrap();
    for number in 0..20 {
        let answer = within(read_response(&mut stream, false)).await.unwrap();
        let line = format!("POST /{number} HTTP/1.1");
        assert!(answer.body.starts_with(line.as_bytes()));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_thousand_requests_share_a_connection_on_both_sides() {
    let (app, connections) = counted_app(|_| async { ok("x") }).await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = client(&sidecar).await;
    for _ in 0..1000 {
        let answer = ask(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(answer.body, b"x");
        assert_eq!(answer.field("connection"), None);
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let served = sidecar
        .metric(
            "hybridge_requests_total",
            &[("protocol", "http1"), ("code", "2xx")],
        )
        .await;
    assert!((served - 1000.0).abs() < f64::EPSILON, "{served}");
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    let app = app(|request| async move {
        match request.first_line().split(' ').nth(1).unwrap() {
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "/304" => {
                b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: \"a\"\r\n\r\n".to_vec()
            }
            "/empty" => ok(""),
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n".to_vec(),
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = client(&sidecar).await;
    let get = |path| format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    // All on one connection: a body too many or too few would break the next answer.
    for _ in 0..2 {
        let answer = ask(&mut stream, get("/204")).await;
        assert_eq!(
            (answer.status(), answer.field("content-length")),
            (204, None)
        );
        assert_eq!(answer.field("transfer-encoding"), None);
        let answer = ask(&mut stream, get("/304")).await;
        assert_eq!(
            (answer.status(), answer.field("content-length")),
            (304, Some("99"))
        );
        let answer = ask(&mut stream, get("/empty")).await;
        assert_eq!(
            (answer.status(), answer.field("content-length")),
            (200, Some("0"))
        );
        let answer = ask(&mut stream, "HEAD /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(
            (answer.status(), answer.field("content-length")),
            (200, Some("1234"))
        );
    }
}

#[tokio::test]
async fn request_bodies_cross_in_their_own_framing_with_trailers() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let mut stream = client(&sidecar).await;
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello";
    let answer = String::from_utf8(ask(&mut stream, request).await.body).unwrap();
    assert!(answer.contains("content-length: 5"), "{answer}");
    assert!(
        answer.contains(&format!("5 bytes, sum {}", checksum(0, b"hello"))),
        "{answer}"
    );

    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    let answer = String::from_utf8(ask(&mut stream, request).await.body).unwrap();
    assert!(
        answer.contains("content-length: 0") && answer.contains("\n0 bytes"),
        "{answer}"
    );

    let request = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n5;x=\"y\"\r\nhello\r\n1\r\n!\r\n0\r\nx-sum: 7\r\nhost: evil\r\n\r\n";
    let answer = String::from_utf8(ask(&mut stream, request).await.body).unwrap();
    assert!(answer.contains("transfer-encoding: chunked"), "{answer}");
    assert!(!answer.contains("content-length"), "{answer}");
    assert!(
        answer.contains(&format!("6 bytes, sum {}", checksum(0, b"hello!"))),
        "{answer}"
    );
    assert!(answer.ends_with("x-sum: 7\n"), "{answer}");
}

#[tokio::test]
async fn response_bodies_cross_in_every_framing_with_trailers() {
    let app = upstream(|mut stream| async move {
        while let Ok(Some(request)) = read_request(&mut stream).await {
            let chunked = request.first_line().contains("/chunked");
            let answer: &[u8] = if chunked {
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 7\r\n\r\n"
            } else {
                b"HTTP/1.0 200 OK\r\n\r\nuntil the end"
            };
            stream.write_all(answer).await.unwrap();
            if !chunked {
                return;
            }
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = client(&sidecar).await;
    let answer = ask(&mut stream, "GET /chunked HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(
        (&answer.body[..], &answer.trailers[..]),
        (&b"hello"[..], "x-sum: 7\n")
    );
    // The length is unknown to the proxy: chunks tell the client where the end is.
    let answer = ask(&mut stream, "GET /close HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert_eq!(answer.body, b"until the end");
    let answer = ask(&mut stream, "GET /chunked HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(answer.body, b"hello");
}

#[tokio::test]
async fn expect_100_continue_works_end_to_end() {
    let app = upstream(|mut stream| async move {
        let head = read_head(&mut stream).await.unwrap().unwrap();
        assert!(head.contains("expect: 100-continue"), "{head}");
        // Nothing of the body may be here yet: the client waits.
        let early = tokio::time::timeout(std::time::Duration::from_millis(100), stream.read_u8());
        assert!(early.await.is_err());
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .unwrap();
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.unwrap();
        stream.write_all(&ok(body)).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = client(&sidecar).await;
    let head = "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let interim = ask(&mut stream, head).await;
    assert_eq!(interim.head, "HTTP/1.1 100 Continue");
    let answer = ask(&mut stream, "hello").await;
    assert_eq!((answer.status(), &answer.body[..]), (200, &b"hello"[..]));
}

#[tokio::test]
async fn a_refused_expectation_says_that_the_connection_closes() {
    let app = upstream(|mut stream| async move {
        read_head(&mut stream).await.unwrap().unwrap();
        let answer = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let head = b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let answer = String::from_utf8(sidecar.exchange(head).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn early_hints_come_before_the_answer() {
    let app = answering(b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </b.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx").await;
    let sidecar = Setup::in_front_of(app).start();
    let mut stream = client(&sidecar).await;
    for _ in 0..2 {
        let hints = ask(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
        assert_eq!(
            (hints.status(), hints.field("link")),
            (103, Some("</a.css>"))
        );
        let hints = read_response(&mut stream, false).await.unwrap();
        assert_eq!(
            (hints.status(), hints.field("link")),
            (103, Some("</b.css>"))
        );
        let answer = read_response(&mut stream, false).await.unwrap();
        assert_eq!((answer.status(), &answer.body[..]), (200, &b"x"[..]));
    }
    // HTTP/1.0 has no interim responses.
    let answer = sidecar.exchange(b"GET / HTTP/1.0\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn targets_are_understood_and_connect_is_refused() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let mut stream = client(&sidecar).await;
    let request = "GET http://real.example:8/path?q=1 HTTP/1.1\r\nhost: other.example\r\n\r\n";
    let answer = String::from_utf8(ask(&mut stream, request).await.body).unwrap();
    assert!(
        answer.starts_with("GET /path?q=1 HTTP/1.1\r\nhost: real.example:8\r\n"),
        "{answer}"
    );
    let request = "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = String::from_utf8(ask(&mut stream, request).await.body).unwrap();
    assert!(answer.starts_with("OPTIONS * HTTP/1.1\r\n"), "{answer}");
    let request = "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n";
    let answer = ask(&mut stream, request).await;
    assert_eq!(
        (answer.status(), answer.field("connection")),
        (501, Some("close"))
    );
}

#[tokio::test]
async fn large_bodies_cross_both_ways_unharmed() {
    const SIZE: usize = 64 * 1024 * 1024;
    let app = app(|request| async move {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{SIZE:x}\r\n")
                .into_bytes();
        answer.extend_from_slice(&request.body);
        answer.extend_from_slice(b"\r\n0\r\n\r\n");
        answer
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let (mut reader, mut writer) = tokio::io::split(client(&sidecar).await);
    let body = pattern(SIZE);
    let sum = checksum(0, &body);
    let upload = tokio::spawn(async move {
        let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        writer.write_all(&body).await.unwrap();
        // What the socket did not take at once waits inside the TLS client until it is flushed.
        writer.flush().await.unwrap();
        writer
    });
    let head = tokio::time::timeout(3 * crate::support::DEADLINE, read_head(&mut reader)).await;
    assert!(head.unwrap().unwrap().unwrap().starts_with("HTTP/1.1 200"));
    let (mut received, mut hash) = (0, Vec::with_capacity(SIZE));
    while let Some(chunk) = within(read_chunk(&mut reader)).await.unwrap() {
        received += chunk.len();
        hash.extend_from_slice(&chunk);
    }
    assert_eq!((received, checksum(0, &hash)), (SIZE, sum));
    drop(upload.await.unwrap());
}

#[tokio::test]
async fn a_new_connection_that_says_nothing_is_closed_after_the_head_timeout() {
    let sidecar = Setup::in_front_of(echo_app().await)
        .timeouts("head-timeout = \"200ms\"")
        .start();
    let mut stream = client(&sidecar).await;
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_keep_alive_timeout() {
    let sidecar = Setup::in_front_of(echo_app().await)
        .timeouts("keep-alive-timeout = \"200ms\"")
        .start();
    let mut stream = client(&sidecar).await;
    ask(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
}
