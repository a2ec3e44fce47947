//! The log of the built binary as a collector reads it: what each line names, and that all of it parses.

use crate::support::egress::app;
use crate::support::openssl::server::{Act, Server};
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::{Setup, read_head, upstream, within};
use hybridge::certgen::Algorithm;
use rustix::process::Signal;
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

/// A request whose upstream fails.
async fn fails(process: &Process) {
    let mut client = process.connect(&["http/1.1"]).await;
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    client.write_all(request).await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
}

/// Runs the binary in front of an address where nobody listens, asks it three times, ends it.
async fn log_of_a_failing_upstream(format: &str) -> String {
    let nobody = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        socket.local_addr().unwrap()
    };
    let settings = format!(
        "workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"5s\"\n[log]\nformat = \"{format}\""
    );
    let setup = Setup::in_front_of(nobody).process(&settings);
    let process = Process::start(&setup).await;
    for _ in 0..3 {
        fails(&process).await;
    }
    process.signal(Signal::TERM);
    process.ended().await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_upstream_is_one_warning_that_names_listener_upstream_and_reason() {
    let log = log_of_a_failing_upstream("text").await;
    let warnings: Vec<_> = log
        .lines()
        .filter(|l| l.contains("level=WARN") && l.contains("upstream"))
        .collect();
    assert_eq!(warnings.len(), 1, "{log}");
    let line = warnings[0];
    assert!(
        line.contains("message=\"upstream failed\" listener="),
        "{line}"
    );
    assert!(line.contains(" upstream=127.0.0.1:"), "{line}");
    assert!(
        line.ends_with(" reason=\"refused\" error=\"connection refused\" suppressed=0"),
        "{line}"
    );
}

/// An app that takes TLS alone, a common slip: the log says so, and not that HTTP is malformed.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_takes_tls_alone_is_named() {
    let app = upstream(|mut stream| async move {
        let _ = read_head(&mut stream).await;
        let alert = b"\x15\x03\x01\x00\x02\x02\x46";
        stream.write_all(alert).await.unwrap();
    })
    .await;
    let process = Process::start(&Setup::in_front_of(app)).await;
    fails(&process).await;
    process
        .logs("it is a TLS alert: the app takes TLS alone")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_line_says_what_runs() {
    let log = log_of_a_failing_upstream("text").await;
    let line = log.lines().find(|l| l.contains("message=listening"));
    let line = line.unwrap();
    for field in [
        "listener=",
        "addresses=[127.0.0.1:",
        "upstream=127.0.0.1:",
        "protocol=\"http\"",
        "policy=\"hybrid-preferred\"",
        "certificate_until=2",
        concat!("version=\"", env!("CARGO_PKG_VERSION"), "\""),
    ] {
        assert!(line.contains(&format!(" {field}")), "{field}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_json_line_is_one_object_and_addresses_are_a_list() {
    let log = log_of_a_failing_upstream("json").await;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let listening = lines.iter().find(|line| line["message"] == "listening");
    assert!(listening.unwrap()["addresses"][0].is_string(), "{log}");
    assert!(lines.iter().any(|line| line["message"] == "draining"));
    assert!(lines.iter().all(|line| line["timestamp"].is_string()));
}

/// The collector has gone: lines are lost, connections are not.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_ends_no_connection() {
    let app = crate::support::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    let mut process = Process::start(&Setup::in_front_of(app)).await;
    process.close_log().await;
    for _ in 0..3 {
        // A line at info: refused, and nobody reads it.
        let mut refused = tokio::net::TcpStream::connect(process.address)
            .await
            .unwrap();
        let half_a_hello = [22, 3, 1, 0, 4, 1, 0, 0, 0];
        refused.write_all(&half_a_hello).await.unwrap();
        let mut alert = Vec::new();
        within(refused.read_to_end(&mut alert)).await.unwrap();
        let mut client = process.connect(&["http/1.1"]).await;
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut response = String::new();
        within(client.read_to_string(&mut response)).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    }
}

/// Lines at info or above that say this.
fn loud(log: &str, said: &[&str]) -> usize {
    let lines = log.lines().filter(|line| !line.contains("level=DEBUG"));
    lines
        .filter(|line| said.iter().all(|text| line.contains(text)))
        .count()
}

/// A client causes as many of these as it likes: the rest is counted, and logged at debug.
#[tokio::test(flavor = "multi_thread")]
async fn lines_that_clients_cause_are_bounded_for_each_outcome() {
    const CONNECTIONS: usize = 120;
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let cutting = Server::new(&pki.leaf(&["localhost"])).act(Act::Cut(1));
    let cutting = cutting.listen();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    let egress = format!(
        "[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:{}\"\ntls.ca = \"{}\"",
        cutting.address.port(),
        ca.display()
    );
    let upstream = crate::support::answering(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let process = Process::start(&Setup::in_front_of(upstream).process(&egress)).await;
    let out = process.egress(0).await;
    let began = std::time::Instant::now();
    for _ in 0..CONNECTIONS {
        let mut client = process.connect(&["h2"]).await;
        // DATA on stream 0 (RFC 9113 section 6.1).
        let broken = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0x";
        client.write_all(broken).await.unwrap();
        let _ = within(client.read_to_end(&mut Vec::new())).await;
        assert!(app(out, b"").await.reset);
    }
    for outcome in ["protocol_error", "upstream_broken"] {
        let label = [("outcome", outcome)];
        process
            .metric_reaches("hybridge_connections_total", &label, CONNECTIONS as f64)
            .await;
    }
    // Ten a second, as the documents say; of an egress five in ten seconds.
    let seconds = began.elapsed().as_secs() as usize + 1;
    let most = 10 * seconds;
    assert!(most < CONNECTIONS, "too slow to tell: {seconds} s");
    let log = process.log();
    for said in [
        &["\"connection closed\"", "protocol_error"][..],
        &["\"HTTP/2 connection refused\"", "client=127.0.0.1"],
        &[
            "\"connection closed\"",
            "role=\"egress\"",
            "upstream_broken",
        ],
    ] {
        let lines = loud(&log, said);
        assert!((1..=most).contains(&lines), "{lines} of {said:?}");
    }
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let mut client = process.connect(&["http/1.1"]).await;
    client.write_all(b"no request\r\n\r\n").await.unwrap();
    let _ = within(client.read_to_end(&mut Vec::new())).await;
    crate::support::eventually("the number of those left out", async || {
        loud(&process.log(), &["protocol_error", " suppressed="]) > 0
    })
    .await;
}

/// What the process refuses of its own accord is no secret: an answer of 408 or 503 is found in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_late_or_has_no_memory_is_in_the_log() {
    const STREAMS: usize = 120;
    let (asked, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (arrived, opened) = (Arc::clone(&asked), Arc::clone(&open));
    let app = upstream(move |mut stream| {
        let (arrived, opened) = (Arc::clone(&arrived), Arc::clone(&opened));
        async move {
            while read_head(&mut stream).await.is_some() {
                arrived.add_permits(1);
                let _permit = opened.acquire().await.unwrap();
                let field = "x".repeat(200_000);
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-big: {field}\r\n\r\n");
                let _ = stream.write_all(head.as_bytes()).await;
            }
        }
    });
    let setup = Setup::in_front_of(app.await).timeouts("head-timeout = \"1s\"");
    let process = Process::start(&setup).await;
    let mut late = process.connect(&["http/1.1"]).await;
    late.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    process
        .logs("client=127.0.0.1 reason=\"the head was not complete in time\" status=408")
        .await;
    let stream = process.connect(&["h2"]).await;
    let builder = h2::client::Builder::new()
        .max_header_list_size(1 << 20)
        .handshake::<_, bytes::Bytes>(stream);
    let (mut client, mut connection) = builder.await.unwrap();
    let requests = async {
        let mut responses = Vec::new();
        for _ in 0..STREAMS {
            client = client.clone().ready().await.unwrap();
            let request = http::Request::get("https://localhost/").body(()).unwrap();
            responses.push(client.send_request(request, true).unwrap().0);
        }
        let _ = asked.acquire_many(STREAMS as u32).await.unwrap();
        responses
    };
    // It reads nothing from here on.
    let _responses = within(async {
        tokio::select! {
            responses = requests => responses,
            _ = &mut connection => panic!("the connection ended"),
        }
    })
    .await;
    open.add_permits(STREAMS);
    process.logs("level=WARN message=\"request refused\"").await;
    process.logs("status=503").await;
}
