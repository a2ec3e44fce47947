//! Which header fields are forwarded, which end here, and which only the proxy may set, on both HTTP versions.

use std::net::SocketAddr;

use crate::support::http::{echo_app, h2_app, h2_exchange, h2_request, h2_response, read_response};
use crate::support::{Setup, answering, within};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn what_the_client_pretends_about_itself_is_replaced_or_added_to() {
    const SPOOFED: [(&str, &str); 13] = [
        (
            "x-forwarded-client-cert",
            "Hash=0;URI=spiffe://example.org/admin",
        ),
        (
            "X_Forwarded-client_cert",
            "Hash=0;URI=spiffe://example.org/admin",
        ),
        ("client-cert", ":MAA=:"),
        ("client_cert", ":MAA=:"),
        ("client-cert-chain", ":MAA=:"),
        ("Client_Cert_Chain", ":MAA=:"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.example"),
        ("x_forwarded_for", "6.6.6.7"),
        ("forwarded", "for=6.6.6.6"),
        ("x-tls-key-exchange", "magic"),
        ("x_tls_key_exchange", "magic"),
    ];
    for mode in ["replace", "append"] {
        for version in ["http1", "http2"] {
            let app = if version == "http1" {
                echo_app().await
            } else {
                h2_fields().await
            };
            let sidecar = Setup::in_front_of(app)
                .listener(&format!(
                    "upstream-http = \"{version}\"\nforwarded = \"{mode}\""
                ))
                .start();
            let mut stream = sidecar.connect(&["http/1.1"]).await;
            let mut request = "GET / HTTP/1.1\r\nhost: me.example\r\nconnection: x-hop, close\r\nx-hop: 1\r\nkeep-alive: 5\r\nproxy-connection: x\r\nte: gzip, trailers\r\nupgrade: h2c\r\n".to_owned();
            let client = sidecar.http2().await;
            let mut h2 = h2_request("GET", "/")
                .uri("https://me.example/")
                .header("te", "trailers");
            for (name, value) in SPOOFED {
                request.extend([name, ": ", value, "\r\n"]);
                h2 = h2.header(name, value);
            }
            stream
                .write_all((request + "\r\n").as_bytes())
                .await
                .unwrap();
            let seen_h1 = within(read_response(&mut stream, false))
                .await
                .unwrap()
                .body;
            let h2 = h2.body(()).unwrap();
            let (_, seen_h2, _) = within(h2_exchange(&client, h2, Bytes::new()))
                .await
                .unwrap();
            for seen in [seen_h1, seen_h2] {
                assert_identity(&String::from_utf8(seen).unwrap(), mode);
            }
        }
    }
}

/// An HTTP/2 server that answers with the fields it was sent.
async fn h2_fields() -> SocketAddr {
    h2_app(|request, mut respond| async move {
        let mut seen = String::new();
        for (name, value) in request.headers() {
            seen.extend([name.as_str(), ": ", value.to_str().unwrap(), "\r\n"]);
        }
        let mut stream = respond.send_response(h2_response(200), false).unwrap();
        stream.send_data(seen.into(), true).unwrap();
    })
    .await
}

#[track_caller]
fn assert_identity(seen: &str, mode: &str) {
    let all = |name: &str| -> Vec<&str> {
        seen.lines()
            .filter_map(|line| line.trim_end().split_once(": "))
            .filter(|(field, _)| *field == name)
            .map(|(_, value)| value)
            .collect()
    };
    let expected = |ours: &'static str, theirs: &'static str| match mode {
        "append" => vec![theirs, ours],
        _ => vec![ours],
    };
    assert_eq!(all("x-tls-key-exchange"), ["X25519MLKEM768"], "{seen}");
    assert_eq!(
        all("x-forwarded-for"),
        expected("127.0.0.1", "6.6.6.6"),
        "{seen}"
    );
    assert_eq!(
        all("x-forwarded-proto"),
        expected("https", "http"),
        "{seen}"
    );
    assert_eq!(
        all("x-forwarded-host"),
        expected("me.example", "evil.example"),
        "{seen}"
    );
    let forwarded = "for=127.0.0.1;proto=https;host=\"me.example\"";
    assert_eq!(
        all("forwarded"),
        expected(forwarded, "for=6.6.6.6"),
        "{seen}"
    );
    assert!(!seen.contains('_'), "{seen}");
    // Nobody was asked for a certificate.
    for ours in ["client-cert", "client_cert"] {
        assert!(!seen.to_ascii_lowercase().contains(ours), "{seen}");
    }
    for gone in ["x-hop", "keep-alive", "proxy-connection", "upgrade"] {
        assert!(all(gone).is_empty(), "{gone}: {seen}");
    }
    assert_eq!(all("te"), ["trailers"], "{seen}");
}

#[tokio::test]
async fn hop_by_hop_fields_of_an_answer_stay_with_the_app() {
    let app = answering(b"HTTP/1.1 200 OK\r\nconnection: x-hop, keep-alive\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-authenticate: x\r\nupgrade: h2c\r\nx-kept: 1\r\ncontent-length: 0\r\n\r\n").await;
    let sidecar = Setup::in_front_of(app).start();
    let client = sidecar.http2().await;
    let request = h2_request("GET", "/").body(()).unwrap();
    let (head, ..) = within(h2_exchange(&client, request, Bytes::new()))
        .await
        .unwrap();
    let mut names: Vec<_> = head
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "x-kept"]);
    let mut stream = sidecar.connect(&[]).await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let answer = within(read_response(&mut stream, false)).await.unwrap();
    assert_eq!(
        answer.head,
        "HTTP/1.1 200 OK\r\nx-kept: 1\r\ncontent-length: 0"
    );
}

/// What a host is does not depend on what the upstream speaks; an empty one names none (RFC 9110 §7.2).
#[tokio::test]
async fn a_host_means_the_same_to_an_app_of_either_version() {
    for version in ["http1", "http2"] {
        let app = if version == "http1" {
            echo_app().await
        } else {
            h2_app(|request, mut respond| async move {
                let host = request.uri().authority().unwrap().as_str().to_owned();
                let mut body = respond.send_response(h2_response(200), false).unwrap();
                let host = format!("host: {host}\r\n");
                body.send_data(host.into(), true).unwrap();
            })
            .await
        };
        let sidecar = Setup::in_front_of(app)
            .listener(&format!("upstream-http = \"{version}\""))
            .start();
        let default = app.to_string();
        for (host, told) in [
            ("a:80", Some("a:80")),
            ("[2001:db8::1]:80", Some("[2001:db8::1]:80")),
            ("", Some(&*default)),
            ("a:b:c", None),
            ("a%41b", None),
            ("[::1", None),
        ] {
            let mut stream = sidecar.connect(&["http/1.1"]).await;
            let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let response = within(read_response(&mut stream, false)).await.unwrap();
            let body = String::from_utf8(response.body.clone()).unwrap();
            match told {
                Some(told) => {
                    assert!(body.contains(&format!("host: {told}\r\n")), "{body}");
                    // Of a client that named none, nothing is said.
                    let named = body.contains("x-forwarded-host: ");
                    assert_eq!(named, version == "http1" && !host.is_empty(), "{body}");
                }
                None => assert_eq!(response.status(), 400, "{version}: {host}"),
            }
        }
    }
}
