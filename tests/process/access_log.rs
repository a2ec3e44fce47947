//! The access log of the built binary: a line for each request with the chosen fields, and none by default.

use crate::support::http::{app, h2_request, ok};
use crate::support::process::Process;
use crate::support::{Setup, within};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const EVERYTHING: &str = "access-log = [\"client\", \"protocol\", \"method\", \"host\", \"path\", \"code\", \
                          \"first_byte_ms\", \"duration_ms\", \"group\", \"peer\"]";
const SECRET: &str = "sk-4f9c2b7e";

async fn ask(process: &Process, request: &str) -> String {
    let mut client = process.connect(&["http/1.1"]).await;
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// The log of a sidecar that answered one request over each version and refused a third.
async fn log_of(listener: &str, log: &str) -> String {
    let app = app(|_| async { ok("fine") }).await;
    let drain = "[drain]\ndelay = \"0s\"\ntimeout = \"5s\"\n[log]\n";
    let setup = Setup::in_front_of(app).listener(listener);
    let process = Process::start(&setup.process(&format!("{drain}{log}"))).await;
    let target = format!("/v1/models?key={SECRET}");
    let head = format!("GET {target} HTTP/1.1\r\nhost: chat.example\r\nconnection: close\r\n\r\n");
    assert!(ask(&process, &head).await.starts_with("HTTP/1.1 200 "));
    let mut client = process.http2().await;
    let request = h2_request("POST", &target).body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 200);
    drop(client);
    let answer = ask(&process, "GET / HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    process.signal(Signal::TERM);
    process.ended().await.1
}

fn requests(log: &str) -> Vec<&str> {
    let lines = log.lines();
    lines
        .filter(|line| line.contains("message=request "))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_logged_unless_that_was_asked_for() {
    let log = log_of("", "level = \"info\"").await;
    assert!(requests(&log).is_empty(), "{log}");
    assert!(
        !log.contains("/v1/models") && !log.contains(SECRET),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_has_the_chosen_fields_and_no_other() {
    let log = log_of("access-log = [\"method\", \"code\"]", "level = \"info\"").await;
    let lines = requests(&log);
    let fields = lines
        .iter()
        .map(|line| line.split_once("message=").unwrap().1);
    let mut fields: Vec<_> = fields.collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "request listener=test code=\"400\"",
            "request listener=test method=\"GET\" code=\"200\"",
            "request listener=test method=\"POST\" code=\"200\"",
        ],
        "{log}"
    );
    assert!(
        !log.contains("/v1/models") && !log.contains("chat.example"),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_there_in_json_and_the_query_is_not() {
    let log = log_of(EVERYTHING, "format = \"json\"").await;
    let lines = log
        .lines()
        .map(|line| -> Value { serde_json::from_str(line).unwrap() });
    let lines: Vec<_> = lines.filter(|line| line["message"] == "request").collect();
    assert_eq!(lines.len(), 3, "{log}");
    let of = |method: &str| lines.iter().find(|line| line["method"] == method).unwrap();
    for (method, protocol) in [("GET", "http1"), ("POST", "http2")] {
        let line = of(method);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["listener"], "test");
        assert_eq!(line["protocol"], protocol);
        assert_eq!(line["path"], "/v1/models");
        assert_eq!(line["code"], "200");
        assert_eq!(line["group"], "X25519MLKEM768");
        assert!(
            line["client"].as_str().unwrap().starts_with("127.0.0.1:"),
            "{line}"
        );
        let ms = |field: &str| line[field].as_f64().unwrap();
        assert!(
            0.0 < ms("first_byte_ms") && ms("first_byte_ms") <= ms("duration_ms"),
            "{line}"
        );
        // Nobody is asked for a certificate.
        assert!(line.get("peer").is_none(), "{line}");
    }
    assert_eq!(of("GET")["host"], "chat.example");
    assert!(!log.contains(SECRET), "{log}");
}

/// What stands where a host belongs, and is none, may be a secret.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_refused_is_not_repeated() {
    let app = app(|_| async { ok("fine") }).await;
    let drain = "[drain]\ndelay = \"0s\"\ntimeout = \"5s\"\n";
    let setup = Setup::in_front_of(app).listener(EVERYTHING);
    let process = Process::start(&setup.process(drain)).await;
    let mut client = process.http2().await;
    let uri = format!("https://bob:{SECRET}@localhost/");
    let request = http::Request::get(uri).body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    assert_eq!(within(response).await.unwrap().status(), 400);
    drop(client);
    process.signal(Signal::TERM);
    let log = process.ended().await.1;
    assert_eq!(requests(&log).len(), 1, "{log}");
    assert!(!log.contains(SECRET), "{log}");
}
