//! HTTP/2 clients, and every client version by every upstream version.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::http::{
    app, checksum, counted_app, echo_app, h2_app, h2_exchange, h2_request, h2_response, ok,
    pattern, read_h2, read_request, read_response, send_h2,
};
use crate::support::{Setup, Sidecar, eventually, upstream, within};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;

/// An HTTP/2 server that sends a 103, then the request's body back, then its trailers and fields.
async fn h2_echo() -> SocketAddr {
    h2_app(|request, mut respond| async move {
        let mut interim = h2_response(103);
        interim
            .headers_mut()
            .insert("link", HeaderValue::from_static("</a>"));
        respond.send_informational(interim).unwrap();
        let (parts, mut body) = request.into_parts();
        let (content, trailers) = read_h2(&mut body).await.unwrap();
        let mut response = h2_response(200);
        response
            .headers_mut()
            .insert("x-method", parts.method.as_str().parse().unwrap());
        let mut stream = respond.send_response(response, false).unwrap();
        send_h2(&mut stream, content.into(), false).await.unwrap();
        let mut fields = trailers.unwrap_or_default();
        fields.insert("x-echo", HeaderValue::from_static("yes"));
        stream.send_trailers(fields).unwrap();
    })
    .await
}

/// The same over HTTP/1.1.
async fn h1_echo() -> SocketAddr {
    upstream(|mut stream| async move {
        while let Ok(Some(request)) = read_request(&mut stream).await {
            let method = request.first_line().split(' ').next().unwrap();
            let mut answer = format!(
                "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nx-method: {method}\r\ntransfer-encoding: chunked\r\n\r\n"
            ).into_bytes();
            if !request.body.is_empty() {
                answer.extend_from_slice(format!("{:x}\r\n", request.body.len()).as_bytes());
                answer.extend_from_slice(&request.body);
                answer.extend_from_slice(b"\r\n");
            }
            let trailers = request.trailers.replace('\n', "\r\n");
            answer.extend_from_slice(format!("0\r\nx-echo: yes\r\n{trailers}\r\n").as_bytes());
            stream.write_all(&answer).await.unwrap();
        }
    })
    .await
}

/// Asks over HTTP/1.1: interim link, method, content, trailers.
async fn over_h1(sidecar: &Sidecar, body: &[u8]) -> (String, String, Vec<u8>, String) {
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let chunk = format!("{:x}\r\n", body.len());
    let head = b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    let request = [
        head,
        chunk.as_bytes(),
        body,
        b"\r\n0\r\nx-sum: 7\r\nx-forwarded-for: 6.6.6.6\r\nx_tls_key_exchange: no\r\n\r\n",
    ]
    .concat();
    stream.write_all(&request).await.unwrap();
    let interim = within(read_response(&mut stream, false)).await.unwrap();
    assert_eq!(interim.status(), 103);
    let answer = within(read_response(&mut stream, false)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let mut trailers: Vec<_> = answer.trailers.lines().collect();
    trailers.sort_unstable();
    (
        interim.field("link").unwrap().to_owned(),
        answer.field("x-method").unwrap().to_owned(),
        answer.body.clone(),
        trailers.join(" "),
    )
}

/// The same over HTTP/2.
async fn over_h2(sidecar: &Sidecar, body: &[u8]) -> (String, String, Vec<u8>, String) {
    let mut client = sidecar.http2().await;
    let request = h2_request("POST", "/x").body(()).unwrap();
    let (mut response, mut stream) = client.send_request(request, false).unwrap();
    send_h2(&mut stream, Bytes::copy_from_slice(body), false)
        .await
        .unwrap();
    let mut fields = HeaderMap::new();
    for (name, value) in [
        ("x-sum", "7"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x_tls_key_exchange", "no"),
    ] {
        fields.insert(name, HeaderValue::from_static(value));
    }
    stream.send_trailers(fields).unwrap();
    let interim = std::future::poll_fn(|cx| response.poll_informational(cx));
    let interim = within(interim).await.unwrap().unwrap();
    assert_eq!(interim.status(), 103);
    let (head, mut answer) = within(response).await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    let (content, trailers) = within(read_h2(&mut answer)).await.unwrap();
    let mut trailers: Vec<_> = trailers
        .unwrap()
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    trailers.sort_unstable();
    (
        interim.headers()["link"].to_str().unwrap().to_owned(),
        head.headers["x-method"].to_str().unwrap().to_owned(),
        content,
        trailers.join(" "),
    )
}

#[tokio::test]
async fn bodies_trailers_and_interim_answers_cross_between_all_versions() {
    let body = pattern(100_000);
    for (version, app) in [("http1", h1_echo().await), ("http2", h2_echo().await)] {
        let sidecar = Setup::in_front_of(app)
            .listener(&format!("upstream-http = \"{version}\""))
            .start();
        for answer in [
            over_h1(&sidecar, &body).await,
            over_h2(&sidecar, &body).await,
        ] {
            let (link, method, content, trailers) = answer;
            assert_eq!((&link[..], &method[..]), ("</a>", "POST"), "{version}");
            assert_eq!(checksum(0, &content), checksum(0, &body), "{version}");
            // Trailers must not say what only the proxy may say.
            assert_eq!(trailers, "x-echo: yes x-sum: 7", "{version}");
        }
    }
}

#[tokio::test]
async fn auto_speaks_http1_to_the_app_unless_it_is_grpc() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let client = sidecar.http2().await;
    let request = h2_request("GET", "/v1/models?q=1")
        .header("cookie", "a=1")
        .header("cookie", "b=2");
    let request = request.body(()).unwrap();
    let (head, body, _) = within(h2_exchange(&client, request, Bytes::new()))
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
    let seen = String::from_utf8(body).unwrap();
    assert!(
        seen.starts_with("GET /v1/models?q=1 HTTP/1.1\r\nhost: localhost\r\n"),
        "{seen}"
    );
    assert!(seen.contains("cookie: a=1; b=2"), "{seen}");
    assert!(
        !seen.contains("content-length") && !seen.contains("transfer-encoding"),
        "{seen}"
    );
    let request = h2_request("POST", "/").body(()).unwrap();
    let (_, body, _) = within(h2_exchange(&client, request, Bytes::new()))
        .await
        .unwrap();
    assert!(
        String::from_utf8(body)
            .unwrap()
            .contains("content-length: 0")
    );
}

#[tokio::test]
async fn a_hundred_streams_share_one_connection() {
    let barrier = Arc::new(Barrier::new(100));
    let app = app(move |request| {
        let barrier = Arc::clone(&barrier);
        async move {
            // All must be under way at once before any is answered.
            barrier.wait().await;
            ok(request.first_line())
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let client = sidecar.http2().await;
    let mut streams = tokio::task::JoinSet::new();
    for number in 0..100 {
        let client = client.clone();
        streams.spawn(async move {
            let request = h2_request("GET", &format!("/{number}")).body(()).unwrap();
            let (_, body, _) = h2_exchange(&client, request, Bytes::new()).await.unwrap();
            assert_eq!(body, format!("GET /{number} HTTP/1.1").as_bytes());
        });
    }
    while let Some(stream) = within(streams.join_next()).await {
        stream.unwrap();
    }
    let opened = sidecar.metric("hybridge_connections_total", &[]).await
        + sidecar.metric("hybridge_connections_open", &[]).await;
    assert!((opened - 1.0).abs() < f64::EPSILON, "{opened}");
}

#[tokio::test]
async fn more_streams_than_allowed_wait_or_are_refused() {
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let app = upstream(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).limits("max-streams = 3").start();
    let client = sidecar.http2().await;
    let first = client.clone();
    // The client library knows the limit once the settings are here.
    eventually("the settings", async || {
        first.current_max_send_streams() == 3
    })
    .await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        let mut client = client.clone().ready().await.unwrap();
        let request = h2_request("GET", "/").body(()).unwrap();
        asked.push(client.send_request(request, true).unwrap());
    }
    eventually("three requests at the app", async || {
        open.load(Ordering::SeqCst) == 3
    })
    .await;
    let mut client = client.ready().await.unwrap();
    let request = h2_request("GET", "/").body(()).unwrap();
    asked.push(client.send_request(request, true).unwrap());
    let more = client.ready();
    assert!(
        tokio::time::timeout(std::time::Duration::from_millis(200), more)
            .await
            .is_err()
    );
    assert_eq!(open.load(Ordering::SeqCst), 3);
}

/// A client that has not read the limit yet hears of it by resets, and may ask again.
#[tokio::test]
async fn streams_beyond_the_limit_are_counted() {
    let app = upstream(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let sidecar = Setup::in_front_of(app).limits("max-streams = 3").start();
    let stream = sidecar.connect(&["h2"]).await;
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    let requests = [(); 12].map(|()| {
        let request = h2_request("GET", "/").body(()).unwrap();
        client.send_request(request, true).unwrap()
    });
    tokio::spawn(connection);
    let refused = [("protocol", "http2"), ("code", "broken")];
    sidecar
        .metric_reaches("hybridge_requests_total", &refused, 9.0)
        .await;
    drop(requests);
}

#[tokio::test]
async fn large_bodies_cross_both_ways_unharmed_over_http2() {
    const SIZE: usize = 64 * 1024 * 1024;
    let (app, _) = counted_app(|request| async move { ok(request.body) }).await;
    let sidecar = Setup::in_front_of(app).start();
    let client = sidecar.http2().await;
    let body = Bytes::from(pattern(SIZE));
    let sum = checksum(0, &body);
    let request = h2_request("POST", "/")
        .header("content-length", SIZE)
        .body(())
        .unwrap();
    let asking = h2_exchange(&client, request, body);
    let (_, content, _) = tokio::time::timeout(3 * crate::support::DEADLINE, asking)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((content.len(), checksum(0, &content)), (SIZE, sum));
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head_over_http2() {
    let (app, connections) = counted_app(|request| async move {
        match request.first_line().split(' ').nth(1).unwrap() {
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "/304" => b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n".to_vec(),
            "/0" => ok(""),
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n".to_vec(),
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let client = sidecar.http2().await;
    for (method, path, status, length) in [
        ("GET", "/204", 204, None),
        ("GET", "/304", 304, Some("99")),
        ("GET", "/0", 200, Some("0")),
        ("HEAD", "/x", 200, Some("1234")),
    ] {
        let request = h2_request(method, path).body(()).unwrap();
        let (head, body, _) = within(h2_exchange(&client, request, Bytes::new()))
            .await
            .unwrap();
        assert_eq!((head.status().as_u16(), body.len()), (status, 0), "{path}");
        let stated = head
            .headers()
            .get("content-length")
            .map(|v| v.to_str().unwrap());
        assert_eq!(stated, length, "{path}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// A 204, a 304 and the answer to HEAD have no content, whatever the app sends (RFC 9110 sections 9.3.2, 15.3.5 and
/// 15.4.5); a 204 has no content-length either (section 8.6).
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_http2_without_a_body_end_with_their_head() {
    let app = h2_app(|request, mut respond| async move {
        let status = request.uri().path()[1..].parse().unwrap();
        let mut response = h2_response(status);
        let length = HeaderValue::from_static("2");
        response.headers_mut().insert("content-length", length);
        let mut stream = respond.send_response(response, false).unwrap();
        // A client may reset what it did not ask for.
        let _ = send_h2(&mut stream, Bytes::from_static(b"ok"), true).await;
    })
    .await;
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http2\"")
        .start();
    let mut client = sidecar.http2().await;
    for (method, status) in [("GET", 204), ("GET", 304), ("HEAD", 200)] {
        let wanted = (status != 204).then_some("2");
        for _ in 0..2 {
            let request = h2_request(method, &format!("/{status}")).body(()).unwrap();
            let (response, _) = client.send_request(request, true).unwrap();
            let response = within(response).await.unwrap();
            assert_eq!(response.status(), status);
            let length = response.headers().get("content-length");
            assert_eq!(length.map(|v| v.to_str().unwrap()), wanted, "{status}");
            let mut body = response.into_body();
            let (content, trailers) = within(read_h2(&mut body)).await.unwrap();
            assert_eq!((content, trailers), (Vec::new(), None), "{status}");
            client = within(client.ready()).await.unwrap();
        }
        let request =
            format!("{method} /{status} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let response = sidecar.exchange(request.as_bytes()).await;
        let response = String::from_utf8(response).unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{response}"
        );
        assert!(response.ends_with("\r\n\r\n"), "{response}");
        let stated = response.contains("content-length: 2\r\n");
        assert_eq!(stated, wanted.is_some(), "{response}");
    }
}
