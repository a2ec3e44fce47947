//! `responses` of `[listener.signature]`: what is signed, where the signatures are, and that both verify.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::AsyncWriteExt;

use crate::receipt::{Asked, Keys, ask, value};
use crate::support::Setup;
use crate::support::http::{Message, app, ok};

const FORGED: &str = "signature: forged\r\nsignature-input: forged\r\ncontent-digest: forged\r\nx-tls-key-exchange: forged\r\n";

/// What the app answers to each path.
async fn answers(request: Message) -> Vec<u8> {
    let path = request.first_line().split(' ').nth(1).unwrap().to_owned();
    let with = |rest: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{FORGED}{rest}").into_bytes()
    };
    match path.split('?').next().unwrap() {
        "/short" => with("content-length: 5\r\n\r\nhello"),
        "/empty" => with("content-length: 0\r\n\r\n"),
        "/head" => with("content-length: 77\r\n\r\n"),
        "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/stream" => with(
            "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-app: 1\r\nsignature: forged\r\n\r\n",
        ),
        "/long" => [with("content-length: 100000\r\n\r\n"), vec![b'l'; 100_000]].concat(),
        _ => ok("other"),
    }
}

#[tokio::test]
async fn every_answer_is_signed_twice_where_its_client_sees_it() {
    let keys = Keys::new();
    let sidecar = Setup::in_front_of(app(answers).await);
    let sidecar = sidecar.listener(&keys.section()).start();
    for version in ["http1", "http2"] {
        for (method, target, body, in_trailers) in [
            ("GET", "/short?n=1", "hello", false),
            ("GET", "/empty", "", false),
            ("HEAD", "/head", "", false),
            ("GET", "/204", "", false),
            ("GET", "/stream", "abcde", true),
        ] {
            let asked = Asked {
                version,
                method,
                target,
                fields: vec![
                    ("content-digest".to_owned(), "sha-256=:x:".to_owned()),
                    ("signature".to_owned(), "a=:AQ==:".to_owned()),
                ],
            };
            let got = ask(&sidecar, &asked).await;
            let told = format!("{version} {target}: {got:?}");
            assert_eq!(String::from_utf8_lossy(&got.body), body, "{told}");
            assert!(!format!("{got:?}").contains("forged"), "{told}");
            assert_eq!(
                value(&got.trailers, "signature").is_some(),
                in_trailers,
                "{told}"
            );
            assert_eq!(
                value(&got.fields, "signature").is_some(),
                !in_trailers,
                "{told}"
            );
            let covered = keys.verify(&asked, &got);
            let mut expected = vec!["\"@status\""];
            if target != "/204" {
                expected.push("\"content-type\"");
            }
            expected.push("\"x-tls-key-exchange\"");
            match (method, target) {
                ("HEAD", _) | (_, "/204") => {}
                _ if in_trailers => expected.push("\"content-digest\";tr"),
                _ => expected.push("\"content-digest\""),
            }
            expected.extend([
                "\"@method\";req",
                "\"@authority\";req",
                "\"@path\";req",
                "\"@query\";req",
                "\"content-digest\";req",
                "\"signature\";req",
            ]);
            assert_eq!(covered, expected, "{told}");
            assert_eq!(
                value(&got.fields, "x-tls-key-exchange").unwrap(),
                "X25519MLKEM768"
            );
            if in_trailers {
                assert_eq!(value(&got.trailers, "x-app").unwrap(), "1");
                let announced = value(&got.fields, "trailer").unwrap();
                assert_eq!(announced, "content-digest, signature-input, signature");
            }
            if method == "HEAD" {
                assert_eq!(
                    value(&got.fields, "content-length").unwrap(),
                    "77",
                    "{told}"
                );
            }
        }
    }
    let name = "hybridge_signed_responses_total";
    sidecar.metric_is(name, &[("place", "header")], 8.0).await;
    sidecar.metric_is(name, &[("place", "trailer")], 2.0).await;
}

#[tokio::test]
async fn a_long_answer_is_not_kept_to_be_signed() {
    let keys = Keys::new();
    let sidecar = Setup::in_front_of(app(answers).await);
    let sidecar = sidecar.listener(&keys.section()).start();
    for version in ["http1", "http2", "http1.0", "http1 without te"] {
        let asked = Asked {
            version,
            method: "GET",
            target: "/long",
            fields: Vec::new(),
        };
        let got = ask(&sidecar, &asked).await;
        assert_eq!(got.body.len(), 100_000);
        if version == "http1.0" || version == "http1 without te" {
            // It gets no trailers, which curl and Go refuse at that length; nothing speaks of signatures.
            assert!(value(&got.fields, "signature").is_none());
            assert!(got.trailers.is_empty());
            continue;
        }
        let late = value(&got.trailers, "signature");
        assert!(late.is_some(), "{version}: signed in its head");
        keys.verify(&asked, &got);
    }
    let name = "hybridge_signed_responses_total";
    sidecar.metric_is(name, &[("place", "none")], 2.0).await;
}

/// A short answer that breaks off is not half of a signed one: nothing of it went out.
#[tokio::test]
async fn a_short_answer_that_breaks_off_is_no_answer() {
    let keys = Keys::new();
    let app = crate::support::upstream(|mut stream| async move {
        if crate::support::read_head(&mut stream).await.is_some() {
            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
            let _ = stream.write_all(half).await;
        }
    });
    let sidecar = Setup::in_front_of(app.await);
    let sidecar = sidecar.listener(&keys.section()).start();
    for version in ["http1", "http2"] {
        let asked = Asked {
            version,
            method: "GET",
            target: "/x",
            fields: Vec::new(),
        };
        let got = ask(&sidecar, &asked).await;
        assert_eq!(got.status, 502, "{version}: {got:?}");
        assert!(value(&got.fields, "signature").is_none());
    }
}

/// The statement of `hybridge sign` names the digest of the model; receipts repeat it.
#[tokio::test]
async fn a_receipt_names_the_model() {
    let keys = Keys::new();
    let digest = "ab".repeat(32);
    let statement = format!(r#"{{"subject":[{{"name":"m","digest":{{"sha256":"{digest}"}}}}]}}"#);
    let payload = BASE64_STANDARD.encode(statement);
    let bundle = format!(r#"{{"dsseEnvelope":{{"payload":"{payload}"}}}}"#);
    let path = keys.dir.path().join("model.sig");
    std::fs::write(&path, bundle).unwrap();
    let section = format!("{}model = \"{}\"\n", keys.section(), path.display());
    let sidecar = Setup::in_front_of(app(answers).await);
    let sidecar = sidecar.listener(&section).start();
    let asked = Asked {
        version: "http1",
        method: "GET",
        target: "/short",
        fields: Vec::new(),
    };
    let got = ask(&sidecar, &asked).await;
    let covered = keys.verify(&asked, &got);
    assert!(
        covered.contains(&"\"x-model-digest\"".to_owned()),
        "{covered:?}"
    );
    let told = value(&got.fields, "x-model-digest").unwrap();
    assert_eq!(told, format!("sha256:{digest}"));
}
