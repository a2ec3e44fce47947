//! The gRPC echo: HTTP/2 without TLS behind the sidecar, status in trailers.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};

use super::HYBRID;
use super::process::Demo;
use crate::support::within;

fn grpc_request<B>(method: &str, body: B) -> Request<B> {
    Request::post(format!("https://localhost/hybridge.demo.Echo/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

fn message(payload: &[u8]) -> Bytes {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0], &length[..], payload].concat().into()
}

fn grpc_status(headers: &HeaderMap) -> &str {
    headers["grpc-status"].to_str().unwrap()
}

#[tokio::test]
async fn a_unary_call_gets_its_message_and_a_status_back() {
    let demo = Demo::start();
    let call = async |method, payload: Bytes| {
        let request = grpc_request(method, Full::new(payload));
        demo.send("hybrid:", "h2", request).await
    };
    let response = call("Unary", message(b"hello")).await;
    assert_eq!(response.headers()["x-tls-key-exchange"], HYBRID);
    let body = within(response.into_body().collect()).await.unwrap();
    assert_eq!(grpc_status(body.trailers().unwrap()), "0");
    assert_eq!(body.to_bytes(), message(b"hello"));

    for (method, payload, status) in [
        ("Unary", Bytes::from_static(b"\0\0\0\0\x05hell"), "3"),
        ("Unary", message(&vec![0; (4 << 20) + 1]), "8"),
        ("Other", message(b""), "12"),
    ] {
        let response = call(method, payload).await;
        assert_eq!(grpc_status(response.headers()), status, "{method}");
    }
}

#[tokio::test]
async fn a_streaming_call_gets_each_message_before_it_sends_the_next() {
    let demo = Demo::start();
    let stream = demo.connect("hybrid:", "h2").await;
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut sender = sender.ready().await.unwrap();
    let request = grpc_request("Stream", ());
    let (response, mut call) = sender.send_request(request, false).unwrap();
    let mut body = within(response).await.unwrap().into_body();
    for payload in [&b"one"[..], b"two", b""] {
        call.send_data(message(payload), false).unwrap();
        let echoed = within(body.data()).await.unwrap().unwrap();
        assert_eq!(echoed, message(payload));
        body.flow_control().release_capacity(echoed.len()).unwrap();
    }
    call.send_data(Bytes::new(), true).unwrap();
    while let Some(rest) = within(body.data()).await {
        assert!(rest.unwrap().is_empty());
    }
    let trailers = within(body.trailers()).await.unwrap().unwrap();
    assert_eq!(grpc_status(&trailers), "0");
}
