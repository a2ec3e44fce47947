//! `hybridge ctl census` and `hybridge ctl cbom`: what a running sidecar knows of those who come without a
//! hybrid group, and of itself.

use std::process::Output;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::inventory::hybridge;
use crate::support::openssl::Client;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, answering, within};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

async fn ctl(process: &Process, arguments: &[&str]) -> Output {
    let admin = process.admin.to_string();
    let running = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .arg("ctl")
        .args(arguments)
        .args(["--admin", &admin])
        .env_clear()
        .output();
    within(running).await.unwrap()
}

/// Standard output of a call that succeeds.
async fn said(process: &Process, arguments: &[&str]) -> String {
    let output = ctl(process, arguments).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn json(process: &Process, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(process, arguments).await).unwrap()
}

async fn start(listener: &str, tls: &str) -> Process {
    let setup = Setup::in_front_of(answering(ANSWER).await).tls(tls);
    // After the sections that the setup writes.
    Process::start(&setup.timeouts(&format!("[listener.census]\n{listener}"))).await
}

async fn connect(process: &Process, groups: &str, times: usize) {
    for _ in 0..times {
        let connected = Client::new().groups(groups).connect(process.address).await;
        connected.unwrap().finish(REQUEST).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_census_says_whom_requiring_hybrid_would_refuse() {
    let process = start("addresses = \"prefix\"", "").await;
    connect(&process, "X25519MLKEM768:X25519", 5).await;
    connect(&process, "X25519", 2).await;
    connect(&process, "P-256:P-384", 1).await;

    let text = said(&process, &["census"]).await;
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("listener test, hybrid-preferred, since 20"),
        "{text}"
    );
    assert_eq!(
        lines[1],
        "requiring hybrid would have refused 37.5 % of connections (3 of 8)"
    );
    // JA4 does not look at the groups: the same client whatever it lists.
    let ja4 = lines[2].strip_prefix("100.0 % of those without a hybrid group are t13d");
    let ja4 = ja4.and_then(|rest| rest.strip_suffix(" from 127.0.0.0/24"));
    assert_eq!(ja4.map(str::len), Some(32), "{text}");
    let row: Vec<_> = lines.last().unwrap().split_whitespace().collect();
    assert_eq!(row[..3], ["3", "100.0", "%"], "{text}");
    assert_eq!(row[4], "127.0.0.0/24", "{text}");
    assert_eq!(row[6], "localhost", "{text}");

    let page = json(&process, &["census", "--listener", "test", "--json"]).await;
    let report = &page["listeners"][0]["census"];
    assert_eq!(
        (&report["served"], &report["classical"]),
        (&8.into(), &3.into())
    );
    let client = &report["clients"][0];
    assert_eq!(client["count"], 3);
    for (of, name) in [(report, "since"), (client, "last_seen")] {
        let seconds = of[name].as_i64().unwrap();
        let time = hybridge::tls::credentials::rfc3339(seconds);
        assert_eq!(of[format!("{name}_time")], time, "{page}");
    }
    let fingerprint = client["ja4"].as_str().unwrap();

    let status: Value = serde_json::from_str(&process.admin("/status").await.1).unwrap();
    let status = &status["listeners"][0];
    assert_eq!(status["census"]["classical"], 3);
    for (what, text) in [
        ("status", status.to_string()),
        ("metrics", process.admin("/metrics").await.1),
        ("log", process.log()),
    ] {
        assert!(!text.contains(fingerprint), "{what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_census_says_who_was_refused() {
    let process = start("addresses = \"none\"", "policy = \"hybrid-required\"").await;
    connect(&process, "X25519MLKEM768:X25519", 1).await;
    let refused = Client::new()
        .groups("X25519")
        .connect(process.address)
        .await;
    assert!(refused.is_err());
    let text = said(&process, &["census"]).await;
    assert!(
        text.contains("\nrequiring hybrid would have refused 0.0 % of connections (0 of 1)\n"),
        "{text}"
    );
    assert!(
        text.contains("\n1 handshake without a hybrid group failed"),
        "{text}"
    );
    assert!(!text.contains("127.0.0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_census_that_is_off_says_so_and_a_listener_that_is_not_there_is_named() {
    let process = start("size = 0", "").await;
    connect(&process, "X25519", 1).await;
    assert_eq!(
        said(&process, &["census"]).await,
        "listener test, hybrid-preferred: the census is off (listener.census.size = 0)\n"
    );
    let wrong = ctl(&process, &["census", "--listener", "tset"]).await;
    assert_eq!(wrong.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(wrong.stderr).unwrap(),
        "hybridge: --listener: there is no listener `tset`: there are test\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bill_of_a_running_sidecar_has_what_it_observed() {
    let process = start("", "").await;
    connect(&process, "X25519MLKEM768:X25519", 2).await;
    connect(&process, "P-256", 1).await;
    let mut bills = Vec::new();
    for version in ["1.6", "1.7"] {
        let bill = json(&process, &["cbom", "--cbom-version", version]).await;
        assert_eq!(bill["specVersion"], version);
        bills.push((version, bill.clone()));
        let service = &bill["services"][0];
        assert_eq!(service["name"], "test");
        let endpoint = format!("https://{}", process.address);
        assert_eq!(service["endpoints"], serde_json::json!([endpoint]));
        let property = |name: &str| {
            let all = service["properties"].as_array().unwrap();
            let found = all.iter().find(|property| property["name"] == name);
            found.and_then(|property| property["value"].as_str())
        };
        assert_eq!(property("hybridge:policy"), Some("hybrid-preferred"));
        let observed = |group: &str| property(&format!("hybridge:observed:handshakes:{group}"));
        assert_eq!(observed("X25519MLKEM768"), Some("2"));
        assert_eq!(observed("secp256r1"), Some("1"));
        assert_eq!(observed("X25519"), None);
        assert_eq!(
            property("hybridge:observed:served-without-hybrid"),
            Some("1")
        );
        let components = bill["components"].as_array().unwrap();
        for name in [
            "X25519MLKEM768",
            "MLKEM768",
            "X25519",
            "TLS 1.3",
            "ECDSA with SHA-256",
        ] {
            assert!(
                components.iter().any(|part| part["name"] == name),
                "{name}: {bill}"
            );
        }
    }
    // A scan of it tells the same of its certificate.
    let address = process.address.to_string();
    for (version, bill) in bills {
        let scan = ["scan", &address, "--format", "cbom", "--cbom-version"];
        let scanned = hybridge(&[&scan[..], &[version, "--timeout", "2"]].concat()).await;
        let scanned: Value = serde_json::from_slice(&scanned.stdout).unwrap();
        let of_certificate = |bill: &Value| {
            let mut dependencies = bill["dependencies"].as_array().unwrap().iter();
            let is_certificate = |part: &&Value| {
                let name = part["ref"].as_str().unwrap();
                name.starts_with("certificate:")
            };
            let found = dependencies.find(is_certificate).unwrap().clone();
            let part = |reference: &Value| {
                let mut parts = bill["components"].as_array().unwrap().iter();
                let part = parts.find(|part| &part["bom-ref"] == reference);
                part.unwrap().clone()
            };
            let used = found["dependsOn"].as_array().unwrap().iter().map(part);
            (part(&found["ref"]), used.collect::<Vec<_>>(), found.clone())
        };
        assert_eq!(of_certificate(&scanned), of_certificate(&bill));
    }
}

/// What servers chose is evidence too: under `hybrid-preferred` one may be classical.
#[tokio::test(flavor = "multi_thread")]
async fn the_bill_names_the_servers_of_an_egress_and_their_groups() {
    let stage = Stage::new().await;
    let server = Process::start(&Setup::in_front_of(stage.address)).await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.crt");
    std::fs::write(&ca, &server.ca).unwrap();
    let target = format!("localhost:{}", server.address.port());
    let mut egresses = "[drain]\ndelay = \"0s\"\n".to_owned();
    for (name, more) in [
        ("used", format!("target = \"{target}\"")),
        ("unused", format!("target = \"{target}\"")),
        (
            "named",
            "capture = \"socks5\"\ntargets-allowed = [\"localhost:*\"]".to_owned(),
        ),
    ] {
        let ca = ca.display();
        let egress = format!(
            "[[egress]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\n{more}\ntls.ca = \"{ca}\"\n"
        );
        egresses.push_str(&egress);
    }
    let process = Process::start(&Setup::in_front_of(stage.address).process(&egresses)).await;
    let mut app = TcpStream::connect(process.egress(0).await).await.unwrap();
    app.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    within(app.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    let bill = json(&process, &["cbom"]).await;
    let services = bill["services"].as_array().unwrap();
    let names: Vec<_> = services.iter().map(|service| &service["name"]).collect();
    assert_eq!(names, ["test", "used", "unused", "named"]);
    let url = format!("tls://{target}");
    let endpoints = |at: usize| services[at]["endpoints"].clone();
    assert_eq!(endpoints(1), serde_json::json!([url]));
    assert_eq!(endpoints(2), serde_json::json!([url]));
    assert_eq!(endpoints(3), serde_json::json!([]));
    let property = |at: usize, name: &str| {
        let all = services[at]["properties"].as_array().unwrap();
        let found = all.iter().find(|property| property["name"] == name);
        found.and_then(|property| property["value"].as_str())
    };
    assert_eq!(property(1, "hybridge:role"), Some("egress"));
    let group = format!("hybridge:observed:target:{target}:group");
    assert_eq!(property(1, &group), Some("X25519MLKEM768"));
    assert_eq!(property(2, &group), None);
    assert_eq!(property(3, "hybridge:target"), Some("socks5"));
}
