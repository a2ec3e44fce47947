//! gRPC: unary and all three kinds of streams, with the wire format's own framing, over HTTP/2 in
//! clear text to the app.

use std::net::SocketAddr;

use crate::support::http::{h2_app, h2_exchange, h2_request, h2_response, nobody, send_h2};
use crate::support::{Setup, Sidecar, within};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Response};

/// A length-prefixed message.
fn message(text: &str) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(0);
    out.put_u32(text.len() as u32);
    out.put_slice(text.as_bytes());
    out.freeze()
}

/// Takes message after message out of a stream.
struct Messages {
    stream: RecvStream,
    received: BytesMut,
}

impl Messages {
    fn of(stream: RecvStream) -> Self {
        Self {
            stream,
            received: BytesMut::new(),
        }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if self.received.len() >= 5 {
                let length = (&self.received[1..5]).get_u32() as usize;
                if self.received.len() >= 5 + length {
                    let text = self.received.split_to(5 + length);
                    return Some(String::from_utf8(text[5..].to_vec()).unwrap());
                }
            }
            let piece = self.stream.data().await?.unwrap();
            self.stream
                .flow_control()
                .release_capacity(piece.len())
                .unwrap();
            self.received.extend_from_slice(&piece);
        }
    }

    async fn status(mut self) -> Option<String> {
        while self.next().await.is_some() {}
        let trailers = self.stream.trailers().await.unwrap()?;
        Some(trailers["grpc-status"].to_str().unwrap().to_owned())
    }
}

fn status(code: &'static str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(code));
    trailers
}

/// Echoes every message as it comes; `/fail` answers with trailers only.
async fn echo() -> SocketAddr {
    h2_app(|request, mut respond| async move {
        assert_eq!(request.headers()["te"], "trailers");
        assert_eq!(request.headers()["x-tls-key-exchange"], "X25519MLKEM768");
        let mut response = h2_response(200);
        let kind = HeaderValue::from_static("application/grpc+proto");
        response.headers_mut().insert("content-type", kind);
        if request.uri().path() == "/test.Echo/Fail" {
            response.headers_mut().extend(status("5"));
            respond.send_response(response, true).unwrap();
            return;
        }
        let mut stream = respond.send_response(response, false).unwrap();
        let mut messages = Messages::of(request.into_body());
        while let Some(text) = messages.next().await {
            let times: usize = text.split('*').nth(1).map_or(1, |n| n.parse().unwrap());
            for _ in 0..times {
                send_h2(&mut stream, message(&text), false).await.unwrap();
            }
        }
        stream.send_trailers(status("0")).unwrap();
    })
    .await
}

/// Begins a call.
fn call(
    client: &mut SendRequest<Bytes>,
    method: &str,
) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
    let request = h2_request("POST", &format!("/test.Echo/{method}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    client
        .send_request(request.body(()).unwrap(), false)
        .unwrap()
}

async fn answer(response: h2::client::ResponseFuture) -> (Response<()>, Messages) {
    let (head, body) = within(response).await.unwrap().into_parts();
    (Response::from_parts(head, ()), Messages::of(body))
}

async fn counted(sidecar: &Sidecar, code: &str) {
    let labels = [("protocol", "grpc"), ("code", code)];
    sidecar
        .metric_reaches("hybridge_requests_total", &labels, 1.0)
        .await;
    let all = sidecar.metric("hybridge_requests_total", &[]).await;
    assert!((all - 1.0).abs() < f64::EPSILON, "counted {all} times");
}

#[tokio::test]
async fn a_unary_call_ends_with_its_trailers() {
    let sidecar = Setup::in_front_of(echo().await).start();
    let (response, mut stream) = call(&mut sidecar.http2().await, "Unary");
    stream.send_data(message("hello"), true).unwrap();
    let (head, mut messages) = answer(response).await;
    assert_eq!(head.headers()["content-type"], "application/grpc+proto");
    assert_eq!(within(messages.next()).await.as_deref(), Some("hello"));
    assert_eq!(within(messages.status()).await.as_deref(), Some("0"));
    counted(&sidecar, "OK").await;
}

#[tokio::test]
async fn a_server_stream_and_a_client_stream_arrive_whole() {
    let sidecar = Setup::in_front_of(echo().await).start();
    let mut client = sidecar.http2().await;
    let (response, mut stream) = call(&mut client, "ServerStream");
    stream.send_data(message("token*500"), true).unwrap();
    let (_, mut messages) = answer(response).await;
    for _ in 0..500 {
        assert_eq!(within(messages.next()).await.as_deref(), Some("token*500"));
    }
    assert_eq!(within(messages.status()).await.as_deref(), Some("0"));
    let (response, mut stream) = call(&mut client, "ClientStream");
    for number in 0..500 {
        let text = message(&format!("{number}*{}", usize::from(number == 499)));
        send_h2(&mut stream, text, number == 499).await.unwrap();
    }
    let (_, mut messages) = answer(response).await;
    assert_eq!(within(messages.next()).await.as_deref(), Some("499*1"));
    assert_eq!(within(messages.status()).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn small_messages_that_wait_for_a_slow_peer_break_no_connection() {
    let sidecar = Setup::in_front_of(echo().await).start();
    // Windows of a useful size, and a budget that bears what this test leaves lying.
    let stream = sidecar.connect(&["h2"]).await;
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(16 << 20);
    builder.data_frame_budget(1 << 30);
    let (mut client, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    tokio::spawn(connection);
    // Nobody reads these: each stream of the app fills its window with short messages.
    let mut unread = Vec::new();
    for _ in 0..8 {
        client = client.ready().await.unwrap();
        let (response, mut stream) = call(&mut client, "ServerStream");
        stream.send_data(message("token*100000"), true).unwrap();
        unread.push(answer(response).await);
    }
    // Up: far more short messages than the echo of them is read.
    client = client.ready().await.unwrap();
    let (response, mut stream) = call(&mut client, "Bidi");
    let (_, mut messages) = answer(response).await;
    let upload = tokio::spawn(async move {
        for number in 0..100_000 {
            send_h2(&mut stream, message(&number.to_string()), number == 99_999).await?;
        }
        Ok::<_, h2::Error>(())
    });
    for number in 0..100_000 {
        assert_eq!(within(messages.next()).await, Some(number.to_string()));
    }
    upload.await.unwrap().unwrap();
    assert_eq!(within(messages.status()).await.as_deref(), Some("0"));
    for (_, mut messages) in unread {
        for _ in 0..1000 {
            assert_eq!(
                within(messages.next()).await.as_deref(),
                Some("token*100000")
            );
        }
    }
}

#[tokio::test]
async fn a_bidirectional_stream_goes_back_and_forth_in_step() {
    let sidecar = Setup::in_front_of(echo().await).start();
    let (response, mut stream) = call(&mut sidecar.http2().await, "Bidi");
    let (_, mut messages) = answer(response).await;
    for number in 0..50 {
        let text = format!("question {number}");
        stream.send_data(message(&text), false).unwrap();
        // Nothing more is sent before this came back: nothing may be held.
        assert_eq!(within(messages.next()).await, Some(text));
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(within(messages.status()).await.as_deref(), Some("0"));
}

#[tokio::test]
async fn an_answer_of_trailers_alone_stays_one() {
    let sidecar = Setup::in_front_of(echo().await).start();
    let (response, mut stream) = call(&mut sidecar.http2().await, "Fail");
    stream.send_data(message("x"), true).unwrap();
    let (head, messages) = answer(response).await;
    assert_eq!(head.headers()["grpc-status"], "5");
    assert!(messages.stream.is_end_stream());
    counted(&sidecar, "NOT_FOUND").await;
}

#[tokio::test]
async fn a_call_is_answered_unavailable_when_the_app_is_down() {
    let (_reserved, address) = nobody();
    let sidecar = Setup::in_front_of(address).start();
    let request = h2_request("POST", "/test.Echo/Unary").header("content-type", "application/grpc");
    let client = sidecar.http2().await;
    let request = request.body(()).unwrap();
    let (head, body, _) = within(h2_exchange(&client, request, message("x")))
        .await
        .unwrap();
    assert_eq!(head.status(), 200);
    assert_eq!(head.headers()["content-type"], "application/grpc");
    assert_eq!(head.headers()["grpc-status"], "14");
    assert_eq!(head.headers()["grpc-message"], "hybridge: refused");
    assert_eq!(head.headers()["server-timing"], "hybridge;desc=\"refused\"");
    assert!(body.is_empty());
    counted(&sidecar, "UNAVAILABLE").await;
}

#[tokio::test]
async fn a_call_that_the_app_breaks_off_has_no_trailers() {
    let app = h2_app(|_, mut respond| async move {
        let mut stream = respond.send_response(h2_response(200), false).unwrap();
        stream.send_data(message("half"), false).unwrap();
        // Let it leave before the reset overtakes it.
        tokio::task::yield_now().await;
        stream.reserve_capacity(1 << 20);
        let _ = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        stream.send_reset(h2::Reason::INTERNAL_ERROR);
    })
    .await;
    let sidecar = Setup::in_front_of(app).start();
    let (response, mut stream) = call(&mut sidecar.http2().await, "Unary");
    stream.send_data(message("x"), true).unwrap();
    let (_, mut messages) = answer(response).await;
    assert_eq!(within(messages.next()).await.as_deref(), Some("half"));
    let error = within(messages.stream.data()).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    counted(&sidecar, "BROKEN").await;
}

#[tokio::test]
async fn grpc_status_is_counted_when_the_app_speaks_http1() {
    let app = crate::support::answering(b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n0\r\ngrpc-status: 7\r\n\r\n").await;
    let sidecar = Setup::in_front_of(app)
        .listener("upstream-http = \"http1\"")
        .start();
    let request = h2_request("POST", "/a/B")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let client = sidecar.http2().await;
    let request = request.body(()).unwrap();
    let (_, _, trailers) = within(h2_exchange(&client, request, Bytes::new()))
        .await
        .unwrap();
    assert_eq!(trailers.unwrap()["grpc-status"], "7");
    counted(&sidecar, "PERMISSION_DENIED").await;
}
