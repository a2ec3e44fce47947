//! `hybridge scan` and `hybridge probe` against real servers: this one, OpenSSL, and peers at their worst.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::thread;

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod, SslVersion};
use openssl::x509::X509;
use serde_json::Value;
use tokio::process::Command;

use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::{Setup, answering, within};

pub(crate) const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

pub(crate) async fn hybridge(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(arguments)
        .env_clear()
        .kill_on_drop(true)
        .output();
    within(command).await.unwrap()
}

/// The JSON report on one endpoint, and the exit code.
pub(crate) async fn scan(address: SocketAddr, more: &[&str]) -> (Value, Option<i32>) {
    let address = address.to_string();
    let timeout: &[&str] = if more.contains(&"--timeout") {
        &[]
    } else {
        &["--timeout", "2"]
    };
    let arguments = [&["scan", &address, "--format", "json"], timeout, more].concat();
    let output = hybridge(&arguments).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "hybridge-scan/1");
    (report["endpoints"][0].clone(), output.status.code())
}

pub(crate) fn groups(endpoint: &Value) -> Vec<String> {
    let groups = endpoint["groups"].as_array().unwrap().iter();
    let names = groups.map(|group| group["name"].as_str().unwrap().to_owned());
    names.collect()
}

/// present, preferred, held, enforced.
pub(crate) fn hybrid(endpoint: &Value) -> [bool; 4] {
    ["present", "preferred", "held", "enforced"].map(|name| endpoint["hybrid"][name] == true)
}

/// A server on a thread that serves each connection the same way until the test's process ends.
pub(crate) fn server(serve: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

/// OpenSSL with these groups and at least this version.
fn openssl(groups: &str, least: SslVersion, most: SslVersion) -> SocketAddr {
    let dir = tempfile::tempdir().unwrap();
    let pki = TestPki::new(hybridge::certgen::Algorithm::EcdsaP256);
    let files = pki.leaf(&["localhost"]).write_to(dir.path());
    let read = |path: &Path| std::fs::read(path).unwrap();
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    let chain = X509::stack_from_pem(&read(&files.cert)).unwrap();
    builder.set_certificate(&chain[0]).unwrap();
    let key = PKey::private_key_from_pem(&read(&files.key)).unwrap();
    builder.set_private_key(&key).unwrap();
    builder.set_min_proto_version(Some(least)).unwrap();
    builder.set_max_proto_version(Some(most)).unwrap();
    builder.set_groups_list(groups).unwrap();
    let acceptor = builder.build();
    server(move |stream| {
        let acceptor = acceptor.clone();
        thread::spawn(move || {
            if let Ok(mut stream) = acceptor.accept(stream) {
                // An end, and bytes behind it: a scan must not wait for what is never read.
                let _ = stream.shutdown();
                let _ = stream.get_mut().write_all(&[0; 12_288]);
                let _ = stream.read(&mut [0; 100]);
            }
        });
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_three_policies_are_told_apart() {
    for (policy, count, first, expected) in [
        ("pq-required", 4, "X25519MLKEM768", [true; 4]),
        (
            "hybrid-preferred",
            6,
            "X25519MLKEM768",
            [true, true, true, false],
        ),
        ("hybrid-required", 3, "X25519MLKEM768", [true; 4]),
        ("classical-only", 3, "X25519", [false; 4]),
    ] {
        let setup = Setup::in_front_of(answering(EMPTY).await);
        let process = Process::start(&setup.tls(&format!("policy = \"{policy}\""))).await;
        let (endpoint, code) = scan(process.address, &[]).await;
        let groups = groups(&endpoint);
        assert_eq!(
            (groups.len(), groups[0].as_str()),
            (count, first),
            "{policy}"
        );
        assert_eq!(hybrid(&endpoint), expected, "{policy}");
        assert_eq!(endpoint["versions"], serde_json::json!(["1.3"]));
        let leaf = &endpoint["certificates"]["chain"][0];
        assert_eq!(
            (&leaf["key"], code),
            (&"ECDSA P-256".into(), Some(0)),
            "{policy}"
        );
        let required = scan(process.address, &["--require", "hybrid"]).await.1;
        assert_eq!(required == Some(0), expected[0], "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_is_reported_as_it_was_configured() {
    let both = openssl(
        "X25519MLKEM768:x448:secp521r1:X25519",
        SslVersion::TLS1_2,
        SslVersion::TLS1_3,
    );
    let (endpoint, code) = scan(both, &[]).await;
    let mut names = groups(&endpoint);
    names.sort();
    assert_eq!(names, ["X25519", "X25519MLKEM768", "secp521r1", "x448"]);
    assert_eq!(endpoint["versions"], serde_json::json!(["1.3", "1.2"]));
    assert_eq!((hybrid(&endpoint)[0], hybrid(&endpoint)[3]), (true, false));
    assert_eq!(code, Some(0));
    let classical = openssl("P-256:P-384", SslVersion::TLS1_3, SslVersion::TLS1_3);
    let (endpoint, _) = scan(classical, &[]).await;
    let mut names = groups(&endpoint);
    names.sort();
    assert_eq!(names, ["secp256r1", "secp384r1"]);
    assert_eq!(hybrid(&endpoint), [false; 4]);
    let old = openssl("P-256", SslVersion::TLS1_2, SslVersion::TLS1_2);
    let (endpoint, _) = scan(old, &[]).await;
    assert_eq!(groups(&endpoint).len(), 0);
    assert_eq!(endpoint["versions"], serde_json::json!(["1.2"]));
    assert_eq!(endpoint["certificates"]["chain"][0]["key"], "ECDSA P-256");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_at_their_worst_are_a_reason_each() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = free.local_addr().unwrap();
    drop(free);
    let http = server(|mut stream| {
        let _ = stream.read(&mut [0; 2048]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let noise = server(|mut stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n");
    });
    let closed = server(drop);
    let flood = server(|mut stream| {
        let record = [&[20, 3, 3, 0x3f, 0xff][..], &[1; 0x3fff]].concat();
        while stream.write_all(&record).is_ok() {}
    });
    for (address, reason) in [
        (silent.local_addr().unwrap(), "silent"),
        (refused, "refused"),
        (http, "plain_http"),
        (noise, "not_tls"),
        (closed, "closed"),
        (flood, "flood"),
    ] {
        let (endpoint, code) = scan(address, &[]).await;
        assert_eq!((&endpoint["unreachable"], code), (&reason.into(), Some(1)));
        let (_, allowed) = scan(address, &["--allow-unreachable"]).await;
        assert_eq!(allowed, Some(0), "{reason}");
    }
}

/// It answers the first hello and drops what comes after, as a rate limit does.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answering_is_not_taken_for_one_that_refuses() {
    let process = Process::start(&Setup::in_front_of(answering(EMPTY).await)).await;
    let (behind, mut count) = (process.address, 0);
    let address = server(move |mut stream| {
        count += 1;
        // The first connection is the one that finds the address.
        if count != 2 {
            return;
        }
        let mut upstream = TcpStream::connect(behind).unwrap();
        let mut first = vec![0; 4096];
        let length = stream.read(&mut first).unwrap_or(0);
        upstream.write_all(&first[..length]).unwrap();
        let length = upstream.read(&mut first).unwrap_or(0);
        let _ = stream.write_all(&first[..length]);
    });
    let (endpoint, code) = scan(address, &["--require", "enforced"]).await;
    assert_eq!(groups(&endpoint), ["X25519MLKEM768"]);
    assert_eq!(hybrid(&endpoint), [true, false, false, false]);
    assert_eq!((&endpoint["complete"], code), (&false.into(), Some(1)));
}

/// It decides by what its first read brings, as some middleboxes do.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_a_middlebox_that_reads_once() {
    let setup = Setup::in_front_of(answering(EMPTY).await);
    let process = Process::start(&setup).await;
    let behind = process.address;
    let middlebox = server(move |mut stream| {
        thread::spawn(move || {
            let mut first = vec![0; 32_768];
            let count = stream.read(&mut first).unwrap_or(0);
            let length = usize::from(u16::from_be_bytes([first[3], first[4]]));
            // Half a record, or none: closed.
            if count < 5 + length {
                return;
            }
            let mut upstream = TcpStream::connect(behind).unwrap();
            upstream.write_all(&first[..count]).unwrap();
            let (mut from, mut to) = (upstream.try_clone().unwrap(), stream.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let _ = std::io::copy(&mut stream, &mut upstream);
        });
    });
    let (endpoint, _) = scan(middlebox, &["--doctor"]).await;
    let verdict = endpoint["doctor"]["verdict"].as_str().unwrap();
    assert!(
        verdict.contains("HelloRetryRequest path works"),
        "{endpoint}"
    );
    let (endpoint, _) = scan(behind, &["--doctor"]).await;
    let verdict = endpoint["doctor"]["verdict"].as_str().unwrap();
    assert!(verdict.starts_with("every hello arrives"), "{endpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_a_bad_line_is_scanned_and_a_regression_exits_1() {
    let setup = Setup::in_front_of(answering(EMPTY).await);
    let hybrid_one = Process::start(&setup).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let list = file("list", &format!("{}\nno:port:here\n", hybrid_one.address));
    let output = hybridge(&["scan", "--targets", &list]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("1 endpoint, 1 examined"), "{said}");
    assert!(said.contains("line 2: no HOST"), "{said}");
    let output = hybridge(&["scan", "--targets", &list, "--format", "json"]).await;
    let before = String::from_utf8(output.stdout).unwrap();
    let same = file("same.json", &format!("\u{feff}{before}"));
    let (_, code) = scan(hybrid_one.address, &["--baseline", &same]).await;
    assert_eq!(code, Some(0));
    let better = file(
        "better.json",
        &before.replace("\"enforced\": false", "\"enforced\": true"),
    );
    let (_, code) = scan(hybrid_one.address, &["--baseline", &better]).await;
    assert_eq!(code, Some(1));
    let text = "\u{feff}{\"kind\": \"List\", \"items\": []}";
    let output = hybridge(&["scan", "--kubectl", &file("empty", text)]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--kubectl names no endpoint"), "{said}");
    // What is required of nothing, or of less than the list says, does not hold.
    for text in [
        "no:port:here\n".to_owned(),
        format!("{}\n\n??\n", hybrid_one.address),
    ] {
        let list = file("bad", &text);
        for wanted in [["--require", "hybrid"], ["--baseline", &same]] {
            let command = [&["scan", "--targets", &list][..], &wanted[..]].concat();
            let output = hybridge(&command).await;
            assert_eq!(output.status.code(), Some(1), "{output:?}");
        }
    }
    // What the baseline has must be looked at, and the baseline must have something.
    let closed = "127.0.0.1:1";
    for (baseline, code) in [
        (same, 1),
        (
            file("none.json", &before.replace("\"hybrid\"", "\"hyb\"")),
            64,
        ),
        (
            file(
                "empty.json",
                "{\"schema\": \"hybridge-scan/1\", \"endpoints\": []}",
            ),
            64,
        ),
    ] {
        let command = [
            "scan",
            closed,
            "--allow-unreachable",
            "--baseline",
            &baseline,
        ];
        let output = hybridge(&command).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
    let broken = file("broken.json", "{");
    let output = hybridge(&["scan", "localhost", "--baseline", &broken]).await;
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_shows_the_group_and_its_exit_code_says_the_kind() {
    for (policy, group, code) in [
        ("hybrid-preferred", "X25519MLKEM768 (hybrid", 0),
        ("classical-only", "X25519 (classical", 2),
    ] {
        let setup = Setup::in_front_of(answering(EMPTY).await);
        let process = Process::start(&setup.tls(&format!("policy = \"{policy}\""))).await;
        let ca = process.dir.path().join("authority.pem");
        std::fs::write(&ca, &process.ca).unwrap();
        let url = format!("https://127.0.0.1:{}/", process.address.port());
        let probed = hybridge(&["probe", &url, "--http", "--ca", ca.to_str().unwrap()]).await;
        let said = String::from_utf8(probed.stdout).unwrap();
        assert!(said.contains(group), "{said}");
        assert!(said.contains("response      HTTP/1.1 200 OK"), "{said}");
        assert_eq!(probed.status.code(), Some(code), "{said}");
        let stranger = hybridge(&["probe", &url, "--http"]).await;
        let said = String::from_utf8(stranger.stdout).unwrap();
        assert!(
            said.contains("NOT TRUSTED")
                && said.contains("--ca FILE names another CA")
                && !said.contains("response"),
            "{said}"
        );
        assert_eq!(stranger.status.code(), Some(1));
        // Both said that they leave.
        let closed = [("outcome", "closed")];
        process
            .metric_reaches("hybridge_connections_total", &closed, 2.0)
            .await;
    }
    let nobody = hybridge(&["probe", "127.0.0.1:1", "--timeout", "1"]).await;
    assert_eq!(nobody.status.code(), Some(1));
    let wrong = hybridge(&["probe", "a b"]).await;
    assert_eq!(wrong.status.code(), Some(64));
}
