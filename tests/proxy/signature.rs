//! `[listener.signature]`: what is let through, what is refused, and what the app is told, on both versions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::signer::{Signer, post, told};
use crate::support::collector::Collector;
use crate::support::http::{echo_app, h2_request, ok, switched};
use crate::support::{Setup, read_head, upstream, within};

#[tokio::test]
async fn both_signatures_are_needed_and_the_app_is_told_whose_they_are() {
    let signer = Signer::new();
    for version in ["http1", "http2"] {
        let setup = Setup::in_front_of(echo_app().await);
        let sidecar = setup.listener(&signer.section("require")).start();
        let (_, page) = sidecar.admin("/metrics").await;
        let zeros = page.lines().filter(|line| {
            line.starts_with("hybridge_signature_verifications_total{") && line.ends_with(" 0")
        });
        assert_eq!(zeros.count(), 13, "{version}");
        let fields = signer.fields(b"hello", "1", true);
        let (status, _, seen) = post(&sidecar, version, &fields, b"hello").await;
        assert_eq!(status, 200, "{version}: {seen}");
        let expected = ["x-signature-principal: batch", "x-signature-result: ok"];
        assert_eq!(told(&seen), expected, "{version}");
        let one = signer.fields(b"hello", "2", false);
        let other = signer.fields(b"other", "3", true);
        let mut moved = signer.fields(b"hello", "4", true);
        moved[2].1 = signer.fields(b"other", "4", true).swap_remove(2).1;
        for (fields, reason) in [
            (&fields, "replayed"),
            (&one, "one_of_two"),
            (&other, "digest"),
            (&moved, "classical_invalid"),
            (&Vec::new(), "absent"),
        ] {
            let (status, accept, body) = post(&sidecar, version, fields, b"hello").await;
            assert_eq!(status, 401, "{version} {reason}: {body}");
            assert!(body.contains(reason), "{version} {reason}: {body}");
            let accept = accept.unwrap_or_default();
            assert_eq!(accept.contains("ml-dsa=(\"@method\""), reason != "digest");
        }
        let name = "hybridge_signature_verifications_total";
        for (result, count) in [
            ("ok", 2.0),
            ("digest", 1.0),
            ("replayed", 1.0),
            ("absent", 1.0),
        ] {
            let counted = sidecar.metric(name, &[("result", result)]).await;
            assert!(
                (counted - count).abs() < 0.5,
                "{version} {result} {counted}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_does_not_verify_is_told_apart_where_none_is_refused() {
    let signer = Signer::new();
    for version in ["http1", "http2"] {
        let setup = Setup::in_front_of(echo_app().await);
        let sidecar = setup.listener(&signer.section("verify")).start();
        let fields = signer.fields(b"hello", "1", false);
        let (status, _, seen) = post(&sidecar, version, &fields, b"hello").await;
        assert_eq!(status, 200, "{version}: {seen}");
        assert_eq!(told(&seen), ["x-signature-result: one_of_two"], "{version}");
    }
}

#[tokio::test]
async fn a_listener_without_signatures_lets_no_client_pretend() {
    let signer = Signer::new();
    for version in ["http1", "http2"] {
        let sidecar = Setup::in_front_of(echo_app().await).start();
        let fields = &signer.fields(b"hello", "1", true)[3..];
        let (_, _, seen) = post(&sidecar, version, fields, b"hello").await;
        assert_eq!(told(&seen), Vec::<String>::new(), "{version}");
    }
}

/// The app gets our `traceparent`, not the one that was signed.
#[tokio::test]
async fn what_traces_replace_cannot_be_covered() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let signer = Signer::new();
    let collector = Collector::new().await;
    let components = [
        ("@method", "POST"),
        ("@authority", "me.example"),
        ("@path", "/x"),
        ("@query", "?"),
        ("traceparent", PARENT),
    ];
    for (traces, version, expected) in [
        (String::new(), "http1", 200),
        (String::new(), "http2", 200),
        (collector.section(), "http1", 401),
        (collector.section(), "http2", 401),
    ] {
        let setup = Setup::in_front_of(echo_app().await).process(&traces);
        let sidecar = setup.listener(&signer.section("require")).start();
        let mut fields = signer.sign("ed", &components, "1", true);
        fields.push(("traceparent", PARENT.to_owned()));
        let (status, _, body) = post(&sidecar, version, &fields, b"").await;
        assert_eq!(status, expected, "{version}: {body}");
        let refused = body.contains("not_covered");
        assert_eq!(refused, expected == 401, "{version}: {body}");
        let traced = body.contains(PARENT);
        assert_eq!(traced, expected == 200, "{version}: {body}");
    }
}

/// 10 MiB of which one byte is another: the app gets most of it, and never the end.
#[tokio::test]
async fn a_long_body_that_is_not_the_one_signed_never_completes() {
    const BODY: &[u8] = &[7; 10 << 20];
    const CHANGED: &[u8] = &{
        let mut body = [7; 10 << 20];
        body[0] = 8;
        body
    };
    let signer = Signer::new();
    for version in ["http1", "http2"] {
        for (sent, arrives) in [(BODY, true), (CHANGED, false)] {
            let taken = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&taken);
            let app = upstream(move |mut stream| {
                let counter = Arc::clone(&counter);
                async move {
                    if read_head(&mut stream).await.is_none() {
                        return;
                    }
                    let mut buf = vec![0; 64 * 1024];
                    while let Ok(count @ 1..) = stream.read(&mut buf).await {
                        let before = counter.fetch_add(count, Ordering::SeqCst);
                        if before + count >= BODY.len() {
                            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";
                            let _ = stream.write_all(answer).await;
                        }
                    }
                }
            });
            let setup = Setup::in_front_of(app.await);
            let sidecar = setup.listener(&signer.section("require")).start();
            let mut fields = signer.fields(BODY, "1", true);
            if version == "http2" {
                fields.push(("content-length", BODY.len().to_string()));
            }
            let (status, _, body) = post(&sidecar, version, &fields, sent).await;
            let taken = taken.load(Ordering::SeqCst);
            if arrives {
                assert_eq!((status, taken), (200, BODY.len()), "{version}: {body}");
            } else {
                assert_eq!(status, 401, "{version}: {body}");
                assert!((1..BODY.len()).contains(&taken), "{version}: {taken}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_head_request_gets_no_body() {
    let signer = Signer::new();
    let setup = Setup::in_front_of(echo_app().await);
    let sidecar = setup.listener(&signer.section("require")).start();
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let head = b"HEAD /x HTTP/1.1\r\nhost: me.example\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut response = Vec::new();
    within(stream.read_to_end(&mut response)).await.unwrap();
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 401 "), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
}

#[tokio::test]
async fn a_full_replay_table_is_unavailable_and_no_refusal() {
    let signer = Signer::new();
    for version in ["http1", "http2"] {
        let setup = Setup::in_front_of(echo_app().await);
        let section = signer.section("require") + "replay-table = 2\n";
        let sidecar = setup.listener(&section).start();
        for (nonce, expected) in [("1", 200), ("2", 503), ("1", 401)] {
            let fields = signer.fields(b"hello", nonce, true);
            let (status, _, body) = post(&sidecar, version, &fields, b"hello").await;
            assert_eq!(status, expected, "{version}: {body}");
        }
        let name = "hybridge_signature_verifications_total";
        let full = [("result", "table_full")];
        sidecar.metric_reaches(name, &full, 1.0).await;
    }
}

/// A request that declares no content has none, even if it ends with an empty piece of it.
#[tokio::test]
async fn tunnels_and_empty_bodies_of_http2_need_no_digest() {
    let signer = Signer::new();
    let app = upstream(|mut stream| async move {
        let head = read_head(&mut stream).await.unwrap_or_default();
        assert!(head.contains("x-signature-result: ok"), "{head}");
        let answer = if head.contains("upgrade: websocket") {
            switched(&head)
        } else {
            ok("")
        };
        stream.write_all(&answer).await.unwrap();
        let mut said = [0; 64];
        while let Ok(count @ 1..) = stream.read(&mut said).await {
            stream.write_all(&said[..count]).await.unwrap();
        }
    });
    let setup = Setup::in_front_of(app.await);
    let sidecar = setup.listener(&signer.section("require")).start();
    let mut client = sidecar.http2().await;
    let probe = client.clone();
    crate::support::eventually("SETTINGS_ENABLE_CONNECT_PROTOCOL", async || {
        probe.is_extended_connect_protocol_enabled()
    })
    .await;
    for method in ["CONNECT", "DELETE"] {
        let components = [
            ("@method", method),
            ("@authority", "me.example"),
            ("@path", "/x"),
            ("@query", "?"),
        ];
        let mut request = h2_request(method, "/x").uri("https://me.example/x");
        for (name, value) in signer.sign("ed", &components, method, true) {
            request = request.header(name, value);
        }
        if method == "DELETE" {
            request = request.header("content-length", "0");
        }
        let mut request = request.body(()).unwrap();
        if method == "CONNECT" {
            let protocol = h2::ext::Protocol::from_static("websocket");
            request.extensions_mut().insert(protocol);
        }
        let (response, mut upload) = client.send_request(request, false).unwrap();
        if method == "DELETE" {
            upload.send_data(Bytes::new(), true).unwrap();
        }
        let (head, mut body) = within(response).await.unwrap().into_parts();
        assert_eq!(head.status, 200, "{method}");
        if method == "CONNECT" {
            upload
                .send_data(Bytes::from_static(b"frame"), false)
                .unwrap();
            assert_eq!(within(body.data()).await.unwrap().unwrap(), "frame");
        }
    }
}
