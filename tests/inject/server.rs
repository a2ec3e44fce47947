//! The webhook as a server: real sockets, real TLS, certificates that change, clients that misbehave.

mod bodies;
mod start;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::Parser;
use hybridge::inject::{CertsArgs, ServeArgs, Server, certs, read_yaml};
use openssl::ssl::{SslConnector, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::X509;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

#[derive(Debug, Parser)]
struct Certs {
    #[command(flatten)]
    args: CertsArgs,
}

struct Running {
    webhook: SocketAddr,
    admin: SocketAddr,
    dir: TempDir,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<std::thread::JoinHandle<Result<(), hybridge::inject::Error>>>,
}

/// Writes a new certificate and key into `dir`, the way `inject certs` makes them.
fn write_certificate(dir: &Path) -> X509 {
    let args = Certs::try_parse_from(["certs", "--namespace", "pq", "--service", "inj"])
        .unwrap()
        .args;
    let mut out = Vec::new();
    certs::run(&args, time::OffsetDateTime::now_utc(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let secret = read_yaml(text.split("---\n").next().unwrap()).unwrap();
    let field =
        |name: &str| openssl::base64::decode_block(secret["data"][name].as_str().unwrap()).unwrap();
    for name in ["tls.key", "tls.crt", "ca.crt"] {
        let temporary = dir.join("next");
        std::fs::write(&temporary, field(name)).unwrap();
        std::fs::rename(&temporary, dir.join(name)).unwrap();
    }
    X509::from_pem(&field("tls.crt")).unwrap()
}

impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_certificate(dir.path());
        let (cert, key) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        let words = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--cert",
            cert.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ];
        let args = Serve::try_parse_from(words).unwrap().args;
        let (stop, stopped) = oneshot::channel::<()>();
        let (told, addresses) = std::sync::mpsc::channel();
        let runtime = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let server = Server::bind(&args).await.unwrap();
                told.send((server.local_addr().unwrap(), server.admin_addr().unwrap()))
                    .unwrap();
                server.run(async move { drop(stopped.await) }).await
            })
        });
        let (webhook, admin) = addresses.recv().unwrap();
        Self {
            webhook,
            admin,
            dir,
            stop: Some(stop),
            runtime: Some(runtime),
        }
    }

    fn connect(&self) -> SslStream<TcpStream> {
        self.try_connect().expect("a handshake")
    }

    fn try_connect(&self) -> Option<SslStream<TcpStream>> {
        let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
        builder.set_ca_file(self.dir.path().join("ca.crt")).unwrap();
        builder.set_verify(SslVerifyMode::PEER);
        let stream = TcpStream::connect(self.webhook).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        builder.build().connect("inj.pq.svc", stream).ok()
    }

    fn admin(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    fn stop(&mut self) {
        drop(self.stop.take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(runtime) = self.runtime.take() {
            let _ = runtime.join();
        }
    }
}

fn review() -> String {
    let pod = json!({"metadata": {"name": "v"}, "spec": {"containers": [{"name": "v", "image": "vllm:1", "ports": [{"containerPort": 8000}]}]}});
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": pod,
    }})
    .to_string()
}

fn head(length: usize) -> String {
    format!(
        "POST /inject/namespace?timeout=5s HTTP/1.1\r\nhost: inj.pq.svc\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    )
}

/// One answer: status line and body.
fn answer(stream: &mut impl Read) -> (String, Vec<u8>) {
    let (mut text, mut byte) = (Vec::new(), [0_u8]);
    while !text.ends_with(b"\r\n\r\n") {
        assert_eq!(
            stream.read(&mut byte).unwrap(),
            1,
            "closed within a head: {}",
            String::from_utf8_lossy(&text)
        );
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head.lines().next().unwrap().to_owned(), body)
}

fn ask(stream: &mut (impl Read + Write)) -> Value {
    let body = review();
    stream
        .write_all(format!("{}{body}", head(body.len())).as_bytes())
        .unwrap();
    let (status, body) = answer(stream);
    assert_eq!(status, "HTTP/1.1 200 OK");
    serde_json::from_slice(&body).unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn reviews_are_answered_over_one_hybrid_connection() {
    let server = Running::start();
    let mut stream = server.connect();
    for _ in 0..3 {
        let response = ask(&mut stream)["response"].clone();
        assert_eq!(
            (
                &response["allowed"],
                &response["uid"],
                &response["patchType"]
            ),
            (&json!(true), &json!("u"), &json!("JSONPatch"))
        );
    }
    let metrics = server.admin("/metrics");
    assert!(
        metrics.contains("hybridge_injections_total{reason=\"none\",result=\"injected\"} 3"),
        "{metrics}"
    );
    assert!(
        metrics
            .lines()
            .any(|l| l.starts_with("hybridge_handshakes_total{")
                && l.contains("X25519MLKEM768")
                && l.contains("webhook")),
        "{metrics}"
    );
    for family in [
        "hybridge_certificate_expiry_timestamp_seconds{listener=\"webhook\"}",
        "\nhybridge_build_info{",
    ] {
        assert!(metrics.contains(family), "{metrics}");
    }
    assert!(server.admin("/livez").starts_with("HTTP/1.1 200"));
    assert!(server.admin("/readyz").starts_with("HTTP/1.1 200"));
    assert!(server.admin("/drain").starts_with("HTTP/1.1 404"));
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart() {
    let server = Running::start();
    let mut old = server.connect();
    ask(&mut old);
    let renewed = write_certificate(server.dir.path());
    eventually("the renewed certificate is served", || {
        // Until then the handshake fails: the client trusts the new CA only.
        let served = server
            .try_connect()
            .and_then(|stream| stream.ssl().peer_certificate());
        served.is_some_and(|served| served.to_der().unwrap() == renewed.to_der().unwrap())
    });
    ask(&mut old);
    ask(&mut server.connect());
}

#[test]
fn a_certificate_that_cannot_be_reloaded_is_failing_until_it_is_mended() {
    let server = Running::start();
    let failing = |count: u8| {
        let line = format!("\nhybridge_credential_reloads_failing {count}\n");
        server.admin("/metrics").contains(&line)
    };
    assert!(failing(0));
    std::fs::write(server.dir.path().join("tls.crt"), "no certificate").unwrap();
    eventually("the failure is on the page", || failing(1));
    write_certificate(server.dir.path());
    eventually("it is mended", || failing(0));
}

/// More silent clients than either port has permits: reviews and probes go on.
#[test]
fn silent_clients_stop_neither_reviews_nor_probes() {
    let server = Running::start();
    let hold = |address| -> Vec<_> {
        let connect = |_| TcpStream::connect(address).unwrap();
        (0..300).map(connect).collect()
    };
    let silent = (hold(server.webhook), hold(server.admin));
    for _ in 0..5 {
        let before = Instant::now();
        ask(&mut server.connect());
        assert!(server.admin("/livez").starts_with("HTTP/1.1 200"));
        assert!(
            before.elapsed() < Duration::from_secs(4),
            "{:?}",
            before.elapsed()
        );
    }
    let metrics = server.admin("/metrics");
    for listener in ["webhook", "admin"] {
        let series =
            format!("hybridge_shed_total{{listener=\"{listener}\",reason=\"handshake\"}} ");
        let line = metrics.lines().find_map(|l| l.strip_prefix(&series));
        assert!(line.unwrap().parse::<f64>().unwrap() > 0.0, "{metrics}");
    }
    drop(silent);
}

/// As the sidecar does: a connection without a handshake is a closed connection.
#[test]
fn a_failed_handshake_is_counted_as_a_closed_connection() {
    let server = Running::start();
    let mut garbage = TcpStream::connect(server.webhook).unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = garbage.read_to_end(&mut Vec::new());
    let closed = "hybridge_connections_total{listener=\"webhook\",outcome=\"handshake_failed\"} 1";
    eventually("the connection is counted", || {
        server.admin("/metrics").contains(closed)
    });
}

#[test]
fn a_shutdown_is_announced_and_finishes_the_request_under_way() {
    let mut server = Running::start();
    let mut stream = server.connect();
    let body = review();
    stream.write_all(head(body.len()).as_bytes()).unwrap();
    server.stop();
    eventually("not ready", || {
        server.admin("/readyz").starts_with("HTTP/1.1 503")
    });
    // Still in the time in which endpoints notice: new connections are served.
    ask(&mut server.connect());
    stream.write_all(body.as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).0, "HTTP/1.1 200 OK");
    assert_eq!(
        stream.read(&mut [0]).unwrap_or(0),
        0,
        "the connection ends with the drain"
    );
}

#[test]
fn http2_reviews_are_answered() {
    let version = Command::new("curl").arg("--version").output();
    if !version.is_ok_and(|v| String::from_utf8_lossy(&v.stdout).contains("HTTP2")) {
        println!("skipped: no curl with HTTP/2 on this machine");
        return;
    }
    let server = Running::start();
    let body = server.dir.path().join("body.json");
    std::fs::write(&body, review()).unwrap();
    let port = server.webhook.port();
    let output = Command::new("curl")
        .args([
            "-sS",
            "--http2",
            "--max-time",
            "20",
            "-w",
            "\n%{http_version}",
            "-H",
            "content-type: application/json",
        ])
        .arg("--cacert")
        .arg(server.dir.path().join("ca.crt"))
        .arg("--resolve")
        .arg(format!("inj.pq.svc:{port}:{}", Ipv4Addr::LOCALHOST))
        .arg("--data-binary")
        .arg(format!("@{}", body.display()))
        .arg(format!("https://inj.pq.svc:{port}/inject/namespace"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, version) = text
        .rsplit_once('\n')
        .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(version, "2");
    let review: Value = serde_json::from_str(body).unwrap();
    assert_eq!(review["response"]["allowed"], true);
}
