#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use super::*;
use crate::proxy::settings::ForwardedMode;

fn parsed(head: &str) -> Result<(), HeadError> {
    RequestHead::parse(head.as_bytes(), &mut no_fields(), 100).map(drop)
}

fn rewritten(head: &str) -> String {
    let mut fields_buf = no_fields();
    let head = RequestHead::parse(head.as_bytes(), &mut fields_buf, 100).unwrap();
    let client = IpAddr::from([192, 0, 2, 7]);
    let identity =
        ForwardedHeaders::new(client, Vec::new(), "X25519MLKEM768", ForwardedMode::Replace);
    let mut out = BytesMut::new();
    head.write_to(&mut out, &identity, "localhost");
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn a_request_crosses_without_its_hops_and_with_our_facts() {
    let out = rewritten(
        "POST /v1/chat?x=1 HTTP/1.1\r\nHost: model.example\r\nContent-Length: 5\r\n\
         Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\
         X_Forwarded_Proto: http\r\nX-Tls-Key-Exchange: fake\r\nTE: trailers\r\n\
         Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nAccept: */*\r\n\r\n",
    );
    assert_eq!(
        out,
        "POST /v1/chat?x=1 HTTP/1.1\r\nhost: model.example\r\nAccept: */*\r\n\
         x-tls-key-exchange: X25519MLKEM768\r\nx-forwarded-for: 192.0.2.7\r\n\
         x-forwarded-proto: https\r\nx-forwarded-host: model.example\r\n\
         forwarded: for=192.0.2.7;proto=https;host=\"model.example\"\r\n\
         content-length: 5\r\nte: trailers\r\nconnection: te\r\n\r\n"
    );
}

#[test]
fn an_absolute_target_decides_the_host() {
    let out = rewritten("GET http://real.example:81/a?b HTTP/1.1\r\nHost: other.example\r\n\r\n");
    assert!(
        out.starts_with("GET /a?b HTTP/1.1\r\nhost: real.example:81\r\n"),
        "{out}"
    );
}

#[test]
fn an_absolute_target_without_a_path_asks_for_the_root() {
    for (target, path) in [
        ("http://a:1", "/"),
        ("http://a:1?b=/c", "/?b=/c"),
        ("HTTP://a:1?#d", "/?"),
    ] {
        let out = rewritten(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let line = format!("GET {path} HTTP/1.1\r\nhost: a:1\r\n");
        assert!(out.starts_with(&line), "{target}: {out}");
    }
}

#[test]
fn an_http_1_0_client_without_host_gets_the_default() {
    let out = rewritten("GET / HTTP/1.0\r\n\r\n");
    assert!(
        out.starts_with("GET / HTTP/1.1\r\nhost: localhost\r\n"),
        "{out}"
    );
}

#[test]
fn ambiguous_framing_is_refused() {
    let with = |fields: &str| parsed(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
    assert_eq!(
        with("Content-Length: 5\r\nContent-Length: 5\r\n"),
        Err(HeadError::ContentLength)
    );
    assert_eq!(
        with("Content-Length: 5, 5\r\n"),
        Err(HeadError::ContentLength)
    );
    assert_eq!(
        with("Content-Length: +5\r\n"),
        Err(HeadError::ContentLength)
    );
    assert_eq!(
        with("Content-Length: 99999999999999999999\r\n"),
        Err(HeadError::ContentLength)
    );
    assert_eq!(
        with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        Err(HeadError::BothFramings)
    );
    assert_eq!(
        with("Transfer-Encoding: gzip, chunked\r\n"),
        Err(HeadError::TransferEncoding)
    );
    assert_eq!(
        with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        Err(HeadError::TransferEncoding)
    );
    assert_eq!(with("A: b\r\n folded\r\n"), Err(HeadError::Malformed));
    assert_eq!(with("Content-Length : 5\r\n"), Err(HeadError::Malformed));
}

#[test]
fn hosts_and_targets_are_checked() {
    assert_eq!(parsed("GET / HTTP/1.1\r\n\r\n"), Err(HeadError::Host));
    assert_eq!(
        parsed("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        Err(HeadError::Host)
    );
    assert_eq!(
        parsed("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        Err(HeadError::Host)
    );
    assert_eq!(
        parsed("GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Err(HeadError::Target)
    );
    assert_eq!(
        parsed("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
        Err(HeadError::Connect)
    );
    assert_eq!(
        parsed("GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        Err(HeadError::Version)
    );
    assert_eq!(
        parsed("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Err(HeadError::TransferEncoding)
    );
}

#[test]
fn more_fields_than_the_limit_are_too_many() {
    let fields = "a: b\r\n".repeat(100);
    assert_eq!(
        parsed(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")),
        Err(HeadError::TooManyFields)
    );
}

/// A relay that names a signed field in `connection` takes it away: it is not there to be verified.
#[test]
fn signatures_cover_no_field_that_ends_here() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nX-Dry-Run: 1\r\nX-Kept: 2\r\n\
         X-Forwarded-For: 192.0.2.1\r\nConnection: x-dry-run\r\n\r\n";
    let mut fields_buf = no_fields();
    let head = RequestHead::parse(head.as_bytes(), &mut fields_buf, 100).unwrap();
    let client = IpAddr::from([192, 0, 2, 7]);
    let identity =
        ForwardedHeaders::new(client, Vec::new(), "X25519MLKEM768", ForwardedMode::Replace);
    let message = head.message(&identity);
    assert_eq!(
        message.fields,
        [("Content-Length", &b"1"[..]), ("X-Kept", b"2")]
    );
}

/// Every host of a few bytes that matter, by both readers.
#[test]
fn a_host_is_what_the_http_crate_takes_for_one() {
    const BYTES: &[u8] = b"a1:[]%.";
    let mut hosts: Vec<Vec<u8>> = vec![Vec::new()];
    for _ in 0..6 {
        let longer = hosts
            .iter()
            .flat_map(|host| BYTES.iter().map(|byte| [&host[..], &[*byte]].concat()));
        hosts = longer.collect();
        for host in &hosts {
            let theirs = http::uri::Authority::try_from(&host[..]).is_ok();
            let host = String::from_utf8_lossy(host);
            assert_eq!(valid_host(host.as_bytes()), theirs, "{host}");
        }
    }
    for many in [
        "[::::::::]",
        "[:::::::::]",
        "[1:2:3:4:5:6:7:8]:9",
        ":::::::::",
    ] {
        let theirs = http::uri::Authority::try_from(many).is_ok();
        assert_eq!(valid_host(many.as_bytes()), theirs, "{many}");
    }
    assert!(valid_host(b""));
}
