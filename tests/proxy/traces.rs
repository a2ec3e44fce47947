//! Traces: a span for each request, the child of the client's, the parent of the upstream's.

mod signed;

use crate::support::collector::{Collector, attribute, hex};
use crate::support::http::{echo_app, h2_app, h2_exchange, h2_request, h2_response};
use crate::support::{Setup, Sidecar, eventually};
use bytes::Bytes;
use http::HeaderValue;
use opentelemetry_proto::tonic::trace::v1::Span;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
const DRAIN: &str = "[drain]\ndelay = \"0s\"\ntimeout = \"10s\"\n";

async fn traced(collector: &Collector, more: &str, listener: &str) -> Sidecar {
    let process = format!("{DRAIN}{}{more}", collector.section());
    let setup = Setup::in_front_of(echo_app().await).process(&process);
    setup.listener(listener).start()
}

/// What the upstream got of these fields.
fn fields<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let lines = answer.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(field, _)| *field == name)
        .map(|(_, value)| value)
        .collect()
}

async fn http1(sidecar: &Sidecar, fields: &str) -> String {
    let request = format!(
        "GET /v1/models?key=sk-secret HTTP/1.1\r\nhost: chat.example\r\n{fields}connection: close\r\n\r\n"
    );
    let answer = sidecar.exchange(request.as_bytes()).await;
    String::from_utf8(answer).unwrap()
}

async fn http2(sidecar: &Sidecar, given: &[(&str, &str)]) -> String {
    let client = sidecar.http2().await;
    let mut request = h2_request("POST", "/v1/models?key=sk-secret");
    for (name, value) in given {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    let answered = h2_exchange(&client, request, Bytes::new()).await.unwrap();
    String::from_utf8(answered.1).unwrap()
}

fn traceparent(trace: &str, span: &Span, flags: &str) -> String {
    format!("00-{trace}-{}-{flags}", hex(&span.span_id))
}

#[tokio::test]
async fn a_request_is_a_span_with_the_facts_of_its_connection() {
    let collector = Collector::new().await;
    let sidecar = traced(&collector, "", "").await;
    let answer = http1(&sidecar, "").await;
    let spans = collector.has(1).await;
    let span = &spans[0];
    let is = |key: &str| attribute(&span.attributes, key);
    for (key, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("url.scheme", "https"),
        ("network.protocol.name", "http"),
        ("network.protocol.version", "1.1"),
        ("server.port", &sidecar.address.port().to_string()),
        ("tls.protocol.name", "tls"),
        ("tls.protocol.version", "1.3"),
        ("tls.curve", "X25519MLKEM768"),
        ("tls.resumed", "false"),
        ("hybridge.tls.key_exchange", "hybrid"),
        ("hybridge.listener", "test"),
    ] {
        assert_eq!(is(key).as_deref(), Some(value), "{key}");
    }
    assert!(is("tls.cipher").unwrap().starts_with("TLS_"), "{span:?}");
    assert_eq!(span.name, "GET");
    assert_eq!(span.kind, 2, "a server's");
    assert!(span.parent_span_id.is_empty() && span.status.is_none());
    assert!(span.start_time_unix_nano < span.end_time_unix_nano);
    // The upstream's parent is this span.
    let ours = traceparent(&hex(&span.trace_id), span, "01");
    assert_eq!(fields(&answer, "traceparent"), [ours]);
    // Nothing says what was asked for, or by whom.
    let whole = format!("{:?}", collector.batches());
    for text in ["v1/models", "sk-secret", "chat.example", "127.0.0.1"] {
        assert!(!whole.contains(text), "{text}: {whole}");
    }
    let request = &collector.requests()[0];
    assert_eq!(request.first_line(), "POST /v1/traces HTTP/1.1");
    assert_eq!(
        request.field("content-type"),
        Some("application/x-protobuf")
    );
    let resource = collector.batches()[0].resource_spans[0].resource.clone();
    let resource = resource.unwrap().attributes;
    let name = attribute(&resource, "service.name");
    assert_eq!(name.as_deref(), Some("hybridge"));
    sidecar
        .metric_reaches("hybridge_spans_exported_total", &[], 1.0)
        .await;
}

#[tokio::test]
async fn the_clients_span_is_the_parent_over_either_version() {
    let collector = Collector::new().await;
    let sidecar = traced(&collector, "", "").await;
    let theirs = format!("00-{TRACE}-{PARENT}-01");
    let given = format!("traceparent: {theirs}\r\ntracestate: a=1\r\nTracestate: b=2,c=3\r\n");
    let first = http1(&sidecar, &given).await;
    collector.has(1).await;
    let second = [
        ("traceparent", &theirs[..]),
        ("tracestate", "a=1"),
        ("tracestate", "b=2,c=3"),
    ];
    let second = http2(&sidecar, &second).await;
    let spans = collector.has(2).await;
    for (answer, span, version) in [(first, &spans[0], "1.1"), (second, &spans[1], "2")] {
        let is = attribute(&span.attributes, "network.protocol.version");
        assert_eq!(is.as_deref(), Some(version));
        assert_eq!(hex(&span.trace_id), TRACE);
        assert_eq!(hex(&span.parent_span_id), PARENT);
        assert_eq!(span.trace_state, "a=1,b=2,c=3");
        assert_eq!(span.flags, 0x301, "sampled, and the parent is of elsewhere");
        let ours = traceparent(TRACE, span, "01");
        assert_eq!(fields(&answer, "traceparent"), [ours], "{answer}");
        let states: Vec<_> = answer
            .lines()
            .filter(|line| line.to_ascii_lowercase().starts_with("tracestate: "))
            .map(|line| line.split_once(": ").unwrap().1)
            .collect();
        assert_eq!(states, ["a=1", "b=2,c=3"], "{answer}");
    }
    assert_ne!(spans[0].span_id, spans[1].span_id);
}

#[tokio::test]
async fn a_malformed_parent_is_none() {
    let collector = Collector::new().await;
    let sidecar = traced(&collector, "", "").await;
    let good = format!("00-{TRACE}-{PARENT}-01");
    let wrong = [
        format!("traceparent: 00-{TRACE}-{PARENT}\r\n"),
        format!("traceparent: {}\r\n", good.to_uppercase()),
        format!("traceparent: 00-{}-{PARENT}-01\r\n", "0".repeat(32)),
        format!("traceparent: {good}-more\r\n"),
        format!("traceparent: {good}\r\ntraceparent: {good}\r\n"),
        "traceparent: \r\n".to_owned(),
    ];
    for (index, given) in wrong.iter().enumerate() {
        let answer = http1(&sidecar, &format!("{given}tracestate: a=1\r\n")).await;
        let spans = collector.has(index + 1).await;
        let span = spans.last().unwrap();
        assert_ne!(hex(&span.trace_id), TRACE, "{given}");
        assert!(span.parent_span_id.is_empty() && span.trace_state.is_empty());
        let ours = traceparent(&hex(&span.trace_id), span, "01");
        assert_eq!(fields(&answer, "traceparent"), [ours], "{given}");
        // What it says belongs to a parent that is none.
        assert!(fields(&answer, "tracestate").is_empty(), "{given}");
    }
    let answer = http2(&sidecar, &[("traceparent", "?"), ("tracestate", "a=1")]).await;
    let spans = collector.has(wrong.len() + 1).await;
    let span = spans.last().unwrap();
    let ours = traceparent(&hex(&span.trace_id), span, "01");
    assert_eq!(fields(&answer, "traceparent"), [ours]);
    assert!(fields(&answer, "tracestate").is_empty(), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_record_is_left_alone() {
    let collector = Collector::new().await;
    let sidecar = traced(&collector, "", "").await;
    let theirs = format!("00-{TRACE}-{PARENT}-00");
    let first = http1(
        &sidecar,
        &format!("traceparent: {theirs}\r\ntracestate: a=1\r\n"),
    )
    .await;
    let second = http2(&sidecar, &[("traceparent", &theirs), ("tracestate", "a=1")]).await;
    for answer in [first, second] {
        assert_eq!(fields(&answer, "traceparent"), [&theirs]);
        assert_eq!(fields(&answer, "tracestate"), ["a=1"]);
    }
    // What comes later is exported, so these would have been.
    http1(&sidecar, "").await;
    let spans = collector.has(1).await;
    assert_ne!(hex(&spans[0].trace_id), TRACE);
}

#[tokio::test]
async fn without_a_collector_the_fields_are_forwarded_as_they_came() {
    let sidecar = Setup::in_front_of(echo_app().await).start();
    let given = "traceparent: anything at all\r\ntraceparent: 2\r\ntracestate: a=1\r\n";
    let answer = http1(&sidecar, given).await;
    assert_eq!(fields(&answer, "traceparent"), ["anything at all", "2"]);
    assert_eq!(fields(&answer, "tracestate"), ["a=1"]);
    let answer = http2(&sidecar, &[("traceparent", "x"), ("tracestate", "a=1")]).await;
    assert_eq!(fields(&answer, "traceparent"), ["x"]);
    assert_eq!(fields(&answer, "tracestate"), ["a=1"]);
    let answer = http1(&sidecar, "").await;
    assert!(fields(&answer, "traceparent").is_empty(), "{answer}");
    let (_, metrics) = sidecar.admin("/metrics").await;
    assert!(!metrics.contains("hybridge_spans"), "{metrics}");
}

#[tokio::test]
async fn of_traces_that_begin_here_a_share_is_recorded_and_the_upstream_knows() {
    let collector = Collector::new().await;
    let sidecar = traced(&collector, "sample = 0\n", "").await;
    let answer = http1(&sidecar, "").await;
    let theirs = fields(&answer, "traceparent");
    assert!(theirs.len() == 1 && theirs[0].ends_with("-00"), "{answer}");
    // A client that records decides for itself.
    let recorded = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\n");
    http1(&sidecar, &recorded).await;
    let spans = collector.has(1).await;
    assert_eq!(hex(&spans[0].trace_id), TRACE);
}

#[tokio::test]
async fn what_fails_says_so() {
    let collector = Collector::new().await;
    let process = format!("{DRAIN}{}", collector.section());
    let (_held, nobody) = crate::support::http::nobody();
    let sidecar = Setup::in_front_of(nobody).process(&process).start();
    let answer = http1(&sidecar, "").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    let answer = sidecar.exchange(b"WHAT-I-WANT / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 400 "));
    let spans = collector.has(2).await;
    let is = |index: usize, key: &str| attribute(&spans[index].attributes, key);
    assert_eq!(is(0, "http.response.status_code").as_deref(), Some("502"));
    assert_eq!(is(0, "error.type").as_deref(), Some("502"));
    assert_eq!(spans[0].status.clone().unwrap().code, 2);
    // The client's mistake: no failure of this side.
    assert_eq!(is(1, "http.response.status_code").as_deref(), Some("400"));
    assert_eq!(is(1, "http.request.method").as_deref(), Some("_OTHER"));
    assert_eq!(spans[1].name, "HTTP");
    assert!(spans[1].status.is_none() && is(1, "error.type").is_none());
}

#[tokio::test]
async fn a_connection_of_tcp_is_one_span() {
    let collector = Collector::new().await;
    let process = format!("{DRAIN}{}", collector.section());
    let sidecar = Setup::in_front_of(echo_app().await)
        .listener("protocol = \"tcp\"")
        .process(&process)
        .start();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut client = sidecar.connect(&[]).await;
    tokio::io::AsyncWriteExt::write_all(&mut client, request)
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut client)
        .await
        .unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client, &mut answer)
        .await
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(fields(&answer, "traceparent").is_empty(), "{answer}");
    let spans = collector.has(1).await;
    let is = |key: &str| attribute(&spans[0].attributes, key);
    assert_eq!(spans[0].name, "tcp");
    assert_eq!(is("network.transport").as_deref(), Some("tcp"));
    assert_eq!(is("tls.curve").as_deref(), Some("X25519MLKEM768"));
    assert_eq!(is("hybridge.outcome").as_deref(), Some("closed"));
    assert!(is("http.request.method").is_none() && is("url.scheme").is_none());
    eventually("the span to be counted", async || {
        sidecar.metric("hybridge_spans_exported_total", &[]).await == 1.0
    })
    .await;
}

#[tokio::test]
async fn a_call_of_grpc_has_its_status_and_its_upstream_the_parent() {
    let collector = Collector::new().await;
    let process = format!("{DRAIN}{}", collector.section());
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let app = h2_app(move |request, mut respond| {
        let seen = seen.clone();
        async move {
            seen.send(request.headers().clone()).unwrap();
            let mut response = h2_response(200);
            let fields = response.headers_mut();
            fields.insert("content-type", HeaderValue::from_static("application/grpc"));
            let status = if request.uri().path() == "/a.B/C" {
                "5"
            } else {
                "14"
            };
            fields.insert("grpc-status", HeaderValue::from_static(status));
            respond.send_response(response, true).unwrap();
        }
    })
    .await;
    let sidecar = Setup::in_front_of(app).process(&process).start();
    let client = sidecar.http2().await;
    let theirs = format!("00-{TRACE}-{PARENT}-01");
    let mut known = 0;
    for (path, status, failed) in [
        ("/a.B/C", "NOT_FOUND", false),
        ("/a.B/D", "UNAVAILABLE", true),
    ] {
        let request = h2_request("POST", path)
            .header("content-type", "application/grpc")
            .header("traceparent", &theirs)
            .header("te", "trailers")
            .body(())
            .unwrap();
        h2_exchange(&client, request, Bytes::new()).await.unwrap();
        known += 1;
        let spans = collector.has(known).await;
        let span = spans.last().unwrap();
        let is = |key: &str| attribute(&span.attributes, key);
        assert_eq!(is("rpc.response.status_code").as_deref(), Some(status));
        assert_eq!(is("rpc.system.name").as_deref(), Some("grpc"));
        assert_eq!(span.status.is_some(), failed);
        assert_eq!(is("error.type").is_some(), failed);
        assert_eq!(hex(&span.parent_span_id), PARENT);
        let got = heads.recv().await.unwrap();
        let got: Vec<_> = got.get_all("traceparent").iter().collect();
        assert_eq!(got, [&traceparent(TRACE, span, "01")[..]]);
        assert!(!format!("{span:?}").contains("a.B"), "{span:?}");
    }
}

/// HTTP/1.1 in, HTTP/2 out.
#[tokio::test]
async fn an_upstream_of_http2_gets_the_parent_too() {
    let collector = Collector::new().await;
    let process = format!("{DRAIN}{}", collector.section());
    let (seen, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let app = h2_app(move |request, mut respond| {
        seen.send(request.headers().clone()).unwrap();
        async move {
            respond.send_response(h2_response(204), true).unwrap();
        }
    })
    .await;
    let setup = Setup::in_front_of(app).process(&process);
    let sidecar = setup.listener("upstream-http = \"http2\"").start();
    let given = format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntracestate: a=1\r\n");
    http1(&sidecar, &given).await;
    http1(&sidecar, "traceparent: wrong\r\ntracestate: a=1\r\n").await;
    let spans = collector.has(2).await;
    let first = heads.recv().await.unwrap();
    assert_eq!(first["traceparent"], traceparent(TRACE, &spans[0], "01"));
    assert_eq!(first["tracestate"], "a=1");
    let second = heads.recv().await.unwrap();
    let ours = traceparent(&hex(&spans[1].trace_id), &spans[1], "01");
    assert_eq!(second["traceparent"], ours);
    assert!(!second.contains_key("tracestate"), "{second:?}");
}
