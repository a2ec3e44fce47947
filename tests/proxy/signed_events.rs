//! `sse-comment`: the signatures of server-sent events in a comment behind the last one.

use std::fmt::Write as _;

use crate::receipt::{Asked, Got, Keys, ask, value};
use crate::support::http::{Message, app};
use crate::support::{Setup, Sidecar};

const EVENTS: &str = "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n";

/// A response in two pieces, and with trailers of which one is forged.
fn events(head: &str, pieces: [&str; 2]) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 200 OK\r\n{head}\r\n");
    for piece in pieces.into_iter().filter(|piece| !piece.is_empty()) {
        write!(response, "{:x}\r\n{piece}\r\n", piece.len()).unwrap();
    }
    (response + "0\r\nx-app: 1\r\nsignature: forged\r\n\r\n").into_bytes()
}

async fn answers(request: Message) -> Vec<u8> {
    let path = request.first_line().split(' ').nth(1).unwrap().to_owned();
    match path.as_str() {
        "/events" => events(EVENTS, ["data: a\n\n", "data: [DONE]\n\n"]),
        "/crlf" => events(EVENTS, ["data: a\r\n\r", "\n"]),
        "/open-event" => events(EVENTS, ["data: a\n\n", "data: b\n"]),
        "/open-line" => events(EVENTS, ["data: a\n\n", "data: b"]),
        "/none" => events(EVENTS, ["", ""]),
        "/own" => events(EVENTS, [": content-digest sha-256=:x:\n: signature x\n\n", "data: a\n\n"]),
        "/encoded" => events(&format!("{EVENTS}content-encoding: x-test\r\n"), ["data: a", "\n\n"]),
        "/text" => events("content-type: text/plain\r\ntransfer-encoding: chunked\r\n", ["a", "b"]),
        _ => format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 100002\r\n\r\n:{}\n",
            "l".repeat(100_000)
        )
        .into_bytes(),
    }
}

async fn get(sidecar: &Sidecar, version: &'static str, target: &'static str) -> (Asked, Got) {
    let asked = Asked {
        version,
        method: "GET",
        target,
        fields: Vec::new(),
    };
    let got = ask(sidecar, &asked).await;
    (asked, got)
}

#[tokio::test]
async fn events_end_with_a_signed_comment() {
    let keys = Keys::new();
    let sidecar = Setup::in_front_of(app(answers).await);
    let section = keys.section() + "sse-comment = true\n";
    let sidecar = sidecar.listener(&section).start();
    for version in ["http1", "http2", "http1.0"] {
        for (target, content, end) in [
            ("/events", "data: a\n\ndata: [DONE]\n\n", "\n\n"),
            ("/crlf", "data: a\r\n\r\n", "\n\n"),
            ("/open-event", "data: a\n\ndata: b\n", ":\n"),
            ("/open-line", "data: a\n\ndata: b\n", ":\n"),
            ("/none", "", "\n\n"),
            (
                "/own",
                ": content-digest sha-256=:x:\n: signature x\n\ndata: a\n\n",
                "\n\n",
            ),
        ] {
            let (asked, got) = get(&sidecar, version, target).await;
            let told = format!("{version} {target}: {got:?}");
            assert!(!told.contains("forged"), "{told}");
            assert!(got.body.ends_with(end.as_bytes()), "{told}");
            assert!(value(&got.fields, "trailer").is_none(), "{told}");
            let of_app = value(&got.trailers, "x-app");
            assert_eq!(of_app.is_some(), version != "http1.0", "{told}");
            let got = got.with_comment_as_trailers();
            assert_eq!(String::from_utf8_lossy(&got.body), content, "{told}");
            let covered = keys.verify(&asked, &got);
            assert!(
                covered.contains(&"\"content-digest\";tr".to_owned()),
                "{told}"
            );
        }
        let (asked, got) = get(&sidecar, version, "/long").await;
        assert!(value(&got.fields, "content-length").is_none(), "{version}");
        let got = got.with_comment_as_trailers();
        assert_eq!(got.body.len(), 100_002, "{version}");
        keys.verify(&asked, &got);
    }
    let name = "hybridge_signed_responses_total";
    sidecar.metric_is(name, &[("place", "comment")], 21.0).await;
}

/// Text cannot continue an encoding, and nothing but events has comments.
#[tokio::test]
async fn what_takes_no_comment_has_trailers() {
    let keys = Keys::new();
    let upstream = app(answers).await;
    let on = keys.section() + "sse-comment = true\n";
    for (section, targets) in [
        (on, ["/encoded", "/text"]),
        (keys.section(), ["/events", "/none"]),
    ] {
        let sidecar = Setup::in_front_of(upstream).listener(&section).start();
        for version in ["http1", "http2"] {
            for target in targets {
                let (asked, got) = get(&sidecar, version, target).await;
                let told = format!("{version} {target}: {got:?}");
                assert!(value(&got.trailers, "signature").is_some(), "{told}");
                assert!(
                    !String::from_utf8_lossy(&got.body).contains("signature"),
                    "{told}"
                );
                keys.verify(&asked, &got);
            }
        }
    }
}
