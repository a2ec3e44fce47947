//! One request in two grammars: whatever HTTP/1.1 refuses, HTTP/2 refuses with the same status, and
//! nothing is refused without a trace.

use tokio::io::AsyncWriteExt;

use super::frames::{self, END_HEADERS, END_STREAM, HEADERS, frame};
use crate::support::http::{echo_app, read_response};
use crate::support::{Setup, Sidecar, within};

/// A request apart from its version.
#[derive(Clone)]
struct Case {
    what: &'static str,
    method: &'static [u8],
    target: Vec<u8>,
    host: &'static [u8],
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    status: u16,
    /// The h2 crate cannot hold it: the whole connection ends by an error, as of compression.
    ends_http2: bool,
}

fn case(what: &'static str, status: u16) -> Case {
    Case {
        what,
        method: b"GET",
        target: b"/".to_vec(),
        host: b"a",
        fields: Vec::new(),
        status,
        ends_http2: false,
    }
}

/// What no HTTP/2 message can hold.
fn unspeakable(case: Case) -> Case {
    Case {
        ends_http2: true,
        ..case
    }
}

fn target(target: &'static [u8], status: u16) -> Case {
    Case {
        target: target.to_vec(),
        ..case("a target", status)
    }
}

fn host(host: &'static [u8], status: u16) -> Case {
    Case {
        host,
        ..case("a host", status)
    }
}

fn field(name: &[u8], value: &[u8], status: u16) -> Case {
    Case {
        fields: vec![(name.to_vec(), value.to_vec())],
        ..case("a field", status)
    }
}

fn fields(what: &'static str, count: usize, size: usize, status: u16) -> Case {
    let field = |n: usize| (format!("x-{n}").into_bytes(), vec![b'v'; size]);
    Case {
        fields: (0..count).map(field).collect(),
        ..case(what, status)
    }
}

fn cases() -> Vec<Case> {
    let options = |with: &'static [u8], status| Case {
        method: b"OPTIONS",
        ..target(with, status)
    };
    vec![
        target(b"/a/b?c=d&e=%20", 200),
        target(b"/a|b^c\\d[e]{f}", 200),
        target(b"/\"quoted\"", 200),
        target(b"/?match[]={job=~'x'}|y^z`", 200),
        target("/\u{fc}?\u{fc}".as_bytes(), 200),
        target(b"/a?b?c/d", 200),
        target(b"/a<b", 400),
        target(b"/a>b", 400),
        target(b"/a`b", 400),
        target(b"/?match[]={job=\"x\"}", 400),
        target(b"/?a=<b>", 400),
        unspeakable(target(b"/\xff", 400)),
        target(b"/a\x7f", 400),
        target(b"path", 400),
        target(b"?a", 400),
        target(b"*", 400),
        options(b"*", 200),
        options(b"/", 200),
        host(b"a.example:8443", 200),
        host(b"[::1]:8443", 200),
        host(b"a/b", 400),
        host(b"u@a", 400),
        host(b"a<b", 400),
        host(b"a\\b", 400),
        field(b"content-length", b"+5", 400),
        field(b"content-length", b"5, 5", 400),
        field(b"content-length", b"x", 400),
        field(b"content-length", b"18446744073709551616", 400),
        field(b"x", b"a\ttab", 200),
        unspeakable(field(b"x", b"a\0b", 400)),
        unspeakable(field(b"x", b"a\x7fb", 400)),
        unspeakable(field(b"x", b"a\x01b", 400)),
        unspeakable(field(b"x y", b"1", 400)),
        unspeakable(field(b"x\xfc", b"1", 400)),
        unspeakable(field(b"x(", b"1", 400)),
        fields("fields within the limit", 90, 1, 200),
        fields("too many fields", 101, 1, 431),
        fields("a head within the limit", 60, 1000, 200),
        fields("a head that is too large", 66, 1000, 431),
        fields("one field that is too large", 1, 70_000, 431),
    ]
}

async fn over_http1(sidecar: &Sidecar, case: &Case) -> u16 {
    let mut request = [
        case.method,
        b" ",
        &case.target,
        b" HTTP/1.1\r\nhost: ",
        case.host,
    ]
    .concat();
    for (name, value) in &case.fields {
        request.extend([b"\r\n", &name[..], b": ", value].concat());
    }
    request.extend_from_slice(b"\r\n\r\n");
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    // It may be refused before all of it is sent.
    let _ = stream.write_all(&request).await;
    within(read_response(&mut stream, false))
        .await
        .unwrap()
        .status()
}

/// A literal field without indexing, of any length.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        let mut length = text.len();
        if length < 127 {
            out.push(length as u8);
        } else {
            out.push(127);
            length -= 127;
            while length >= 128 {
                out.push(length as u8 | 128);
                length >>= 7;
            }
            out.push(length as u8);
        }
        out.extend_from_slice(text);
    }
    out
}

fn head(case: &Case) -> Vec<u8> {
    let mut block = [
        literal(b":method", case.method),
        literal(b":scheme", b"https"),
        literal(b":path", &case.target),
        literal(b":authority", case.host),
    ]
    .concat();
    for (name, value) in &case.fields {
        block.extend(literal(name, value));
    }
    let count = block.chunks(16_000).count();
    let frames = block.chunks(16_000).enumerate().map(|(number, piece)| {
        let last = if number + 1 == count { END_HEADERS } else { 0 };
        match number {
            0 => frame(HEADERS, END_STREAM | last, 1, piece),
            _ => frame(9, last, 1, piece),
        }
    });
    frames.collect::<Vec<_>>().concat()
}

async fn over_http2(sidecar: &Sidecar, case: &Case) -> Option<u16> {
    let mut stream = sidecar.connect(&["h2"]).await;
    frames::begin(&mut stream, 1 << 20, 0).await;
    stream.write_all(&head(case)).await.unwrap();
    within(async {
        while let Ok(Some(next)) = frames::next(&mut stream).await {
            match next.kind {
                HEADERS => return Some(next.status()),
                frames::RST_STREAM | 7 => return None,
                _ => {}
            }
        }
        None
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_treat_a_request_alike_and_leave_a_trace() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let mut wrong = Vec::new();
    let mut refused = [0.0, 0.0];
    for case in cases() {
        let text = format!(
            "{}: {} at {} {:?}",
            case.what,
            case.target.escape_ascii(),
            case.host.escape_ascii(),
            case.fields.first().map(|(name, value)| (
                name.escape_ascii().to_string(),
                value[..value.len().min(20)].escape_ascii().to_string()
            ))
        );
        let got = (
            over_http1(&sidecar, &case).await,
            over_http2(&sidecar, &case).await,
        );
        let over_http2 = (!case.ends_http2).then_some(case.status);
        if got != (case.status, over_http2) {
            wrong.push(format!("{text}: {got:?}, not {}", case.status));
        }
        if case.status != 200 {
            refused[0] += 1.0;
            refused[1] += f64::from(u8::from(!case.ends_http2));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (protocol, refused) in ["http1", "http2"].into_iter().zip(refused) {
        let labels = [("protocol", protocol), ("code", "4xx")];
        sidecar
            .metric_is("hybridge_requests_total", &labels, refused)
            .await;
    }
}

/// RFC 9113 §8.2.3.
#[tokio::test(flavor = "multi_thread")]
async fn cookie_crumbs_are_one_field() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let crumbs = |count: usize, size: usize, status| Case {
        fields: (0..count)
            .map(|n| {
                (
                    b"cookie".to_vec(),
                    format!("c{n}={}", "v".repeat(size)).into_bytes(),
                )
            })
            .collect(),
        ..case("crumbs", status)
    };
    for (count, size, status) in [(150, 1, 200), (2000, 10, 200), (700, 100, 431)] {
        let case = crumbs(count, size, status);
        assert_eq!(
            over_http2(&sidecar, &case).await,
            Some(status),
            "{count} crumbs"
        );
        let joined: Vec<_> = case.fields.iter().map(|(_, value)| value.clone()).collect();
        let joined = Case {
            fields: vec![(b"cookie".to_vec(), joined.join(&b"; "[..]))],
            ..case
        };
        assert_eq!(
            over_http1(&sidecar, &joined).await,
            status,
            "{count} cookies"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_fields_above_the_usual_holds_for_both_versions() {
    let sidecar = Setup::in_front_of(echo_app().await)
        .limits("max-headers = 600")
        .start();
    for (count, status) in [(300, 200), (590, 200), (601, 431)] {
        let case = fields("many fields", count, 1, status);
        let got = (
            over_http1(&sidecar, &case).await,
            over_http2(&sidecar, &case).await,
        );
        assert_eq!(got, (status, Some(status)), "{count} fields");
    }
}

/// What the h2 crate resets by itself gets a response first, and the connection goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_spoils_no_other_on_its_connection() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let mut stream = sidecar.connect(&["h2"]).await;
    frames::begin(&mut stream, 1 << 20, 0).await;
    let bad = head(&target(b"/a<b", 400));
    let mut good = frames::get(3, "/");
    let bare = |stream: u32, list: &[(&str, &str)]| {
        frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            stream,
            &frames::fields(list),
        )
    };
    let usual = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", "a"),
    ];
    good.extend(bare(5, &[&usual[..], &[("connection", "close")]].concat()));
    good.extend(bare(7, &[&usual[..], &[("te", "gzip")]].concat()));
    good.extend(bare(9, &usual[1..]));
    good.extend(frames::get(11, "/"));
    stream.write_all(&[bad, good].concat()).await.unwrap();
    let mut seen = Vec::new();
    within(async {
        while seen.len() < 6 {
            let next = frames::next(&mut stream)
                .await
                .unwrap()
                .expect("a connection");
            if next.kind == HEADERS {
                // Not the first head of the connection: the table knows more than its beginning.
                let fine = !matches!(next.payload.first(), Some(0x8c));
                seen.push((next.stream, fine));
            }
        }
    })
    .await;
    seen.sort_unstable();
    let expected = [
        (1, false),
        (3, true),
        (5, false),
        (7, false),
        (9, false),
        (11, true),
    ];
    assert_eq!(seen, expected);
}
