//! Certificates replaced under a running sidecar, as clients and operators see it. What the reloader
//! makes of each kind of file is in `reload_files.rs`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::pki::{Pair, TestPki};
use crate::support::process::Process;
use crate::support::{Setup, Sidecar, answering, client_config, eventually, within};
use hybridge::config::Config;
use hybridge::tls::reload::Outcome;
use rustix::process::Signal;
use rustls::HandshakeKind;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

async fn app() -> std::net::SocketAddr {
    answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
}

async fn served(client: &mut TlsStream<TcpStream>) {
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"ok") {
        assert_ne!(within(client.read_buf(&mut answer)).await.unwrap(), 0);
    }
}

/// The certificate a connection was given, as DER.
fn certificate(client: &TlsStream<TcpStream>) -> Vec<u8> {
    client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn kind(client: &TlsStream<TcpStream>) -> HandshakeKind {
    client.get_ref().1.handshake_kind().unwrap()
}

async fn reload_now(sidecar: &Sidecar) -> Outcome {
    let reloading = sidecar.running.as_ref().unwrap().reload().reload_now();
    within(reloading).await.unwrap().remove(0)
}

/// Puts a certificate for `name` in place and waits until it is in use.
async fn replace(sidecar: &Sidecar, name: &str) {
    let leaf = sidecar.pki.leaf(&["localhost", name]);
    leaf.write_to(sidecar.dir.path());
    let outcome = reload_now(sidecar).await;
    // The watch of the files may have been quicker than the request.
    assert!(
        matches!(outcome, Outcome::Reloaded | Outcome::Unchanged),
        "{outcome:?}"
    );
    let names = status(sidecar).await["certificate"]["names"].to_string();
    assert!(names.contains(name), "{names}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_under_load_fails_no_handshake_and_touches_no_live_connection() {
    let sidecar = Arc::new(Setup::in_front_of(app().await).start());
    let mut live = sidecar.connect(&["http/1.1"]).await;
    served(&mut live).await;
    let first = certificate(&live);
    let (stop, served_count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (sidecar, stop, count) = (
                Arc::clone(&sidecar),
                Arc::clone(&stop),
                Arc::clone(&served_count),
            );
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let mut client = sidecar.connect(&["http/1.1"]).await;
                    served(&mut client).await;
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..5 {
        let before = served_count.load(Ordering::Relaxed);
        let old = certificate(&sidecar.connect(&["http/1.1"]).await);
        sidecar
            .pki
            .leaf(&["localhost", "127.0.0.1"])
            .write_to(sidecar.dir.path());
        eventually("the new certificate", async || {
            certificate(&sidecar.connect(&["http/1.1"]).await) != old
        })
        .await;
        eventually("clients to be served with it", async || {
            served_count.load(Ordering::Relaxed) > before + 4
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        within(client).await.unwrap();
    }
    served(&mut live).await;
    assert_eq!(certificate(&live), first);
    let failures = sidecar.metric("hybridge_handshake_failures_total", &[]);
    assert_eq!(failures.await, 0.0);
    let reloaded = [("result", "ok")];
    let reloads = sidecar.metric("hybridge_credential_reloads_total", &reloaded);
    assert!(reloads.await >= 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_from_before_a_reload_still_resumes() {
    let sidecar = Setup::in_front_of(app().await).start();
    let config = client_config(&sidecar.ca, &["http/1.1"]);
    let mut client = sidecar.try_connect(config.clone()).await.unwrap();
    // The ticket comes with the answer.
    served(&mut client).await;
    assert_eq!(kind(&client), HandshakeKind::Full);
    replace(&sidecar, "renewed.example").await;
    let mut again = sidecar.try_connect(config).await.unwrap();
    served(&mut again).await;
    assert_eq!(kind(&again), HandshakeKind::Resumed);
    sidecar
        .metric_reaches("hybridge_handshakes_total", &[("kind", "resumed")], 1.0)
        .await;
}

async fn status(sidecar: &Sidecar) -> Value {
    let (_, page) = sidecar.admin("/status").await;
    serde_json::from_str::<Value>(&page).unwrap()["listeners"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_keeps_the_last_good_pair_and_is_told_everywhere_until_repaired() {
    let sidecar = Setup::in_front_of(app().await).start();
    let good = certificate(&sidecar.connect(&["http/1.1"]).await);
    let expiry = sidecar
        .metric("hybridge_certificate_expiry_timestamp_seconds", &[])
        .await;
    let file = sidecar.dir.path().join("tls.crt");
    fs::write(&file, "-----BEGIN CERTIFICATE-----\nbroken\n").unwrap();
    assert!(matches!(reload_now(&sidecar).await, Outcome::Failed(_)));

    assert_eq!(certificate(&sidecar.connect(&["http/1.1"]).await), good);
    let (code, page) = sidecar.admin("/readyz").await;
    assert_eq!(code, 200, "the last good pair serves: {page}");
    assert!(
        page.starts_with("ready\nlistener `test`: the last certificate reload failed, the pair before it is served: "),
        "{page}"
    );
    assert!(page.contains("tls.crt"), "{page}");
    let error = status(&sidecar).await["certificate_error"].clone();
    assert!(error.as_str().unwrap().contains("tls.crt"), "{error}");
    let failed = [("result", "failed")];
    let failures = sidecar.metric("hybridge_credential_reloads_total", &failed);
    assert!(failures.await >= 1.0);
    let now = sidecar.metric("hybridge_certificate_expiry_timestamp_seconds", &[]);
    assert_eq!(now.await, expiry);

    replace(&sidecar, "repaired.example").await;
    assert_ne!(certificate(&sidecar.connect(&["http/1.1"]).await), good);
    assert_eq!(sidecar.admin("/readyz").await, (200, "ready\n".to_owned()));
    let error = status(&sidecar).await["certificate_error"].clone();
    assert_eq!(error, Value::Null);
}

/// Lays a pair out as the kubelet does: files point through `..data` to a generation.
fn mount(dir: &Path, generation: &str, pair: &Pair) {
    let folder = dir.join(generation);
    fs::create_dir(&folder).unwrap();
    pair.write_to(&folder);
    symlink(generation, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    for name in ["tls.crt", "tls.key"] {
        if !dir.join(name).exists() {
            symlink(Path::new("..data").join(name), dir.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_kubernetes_volume_is_noticed_without_being_asked() {
    let setup = Setup::in_front_of(app().await);
    let (pki, dir) = (TestPki::new(setup.algorithm), tempfile::tempdir().unwrap());
    mount(dir.path(), "..2026_11_22_first", &pki.leaf(&["localhost"]));
    let config = Config::parse("test.toml", &setup.toml(&dir)).unwrap();
    let running = hybridge::run::Sidecar::start(config).unwrap();
    let sidecar = Sidecar {
        address: running.addresses("test")[0],
        admin: running.admin_addresses()[0],
        ca: pki.ca_pem().as_bytes().to_vec(),
        running: Some(running),
        pki,
        dir,
    };
    let old = certificate(&sidecar.connect(&["http/1.1"]).await);
    let next = sidecar.pki.leaf(&["localhost", "second.example"]);
    mount(sidecar.dir.path(), "..2026_11_22_second", &next);
    fs::remove_dir_all(sidecar.dir.path().join("..2026_11_22_first")).unwrap();
    eventually("the next generation", async || {
        certificate(&sidecar.connect(&["http/1.1"]).await) != old
    })
    .await;
    let names = status(&sidecar).await["certificate"]["names"].to_string();
    assert!(names.contains("second.example"), "{names}");
    let failed = [("result", "failed")];
    let failures = sidecar.metric("hybridge_credential_reloads_total", &failed);
    assert_eq!(failures.await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_looks_at_the_files_and_ends_nothing() {
    let process = Process::start(&Setup::in_front_of(app().await)).await;
    let mut live = process.connect(&["http/1.1"]).await;
    process.signal(Signal::HUP);
    process.logs("certificate unchanged").await;
    fs::write(process.dir.path().join("tls.key"), "no key").unwrap();
    process.signal(Signal::HUP);
    process.logs("certificate not reloaded").await;
    served(&mut live).await;
    served(&mut process.connect(&["http/1.1"]).await).await;
    assert_eq!(process.admin("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_sidecar_of_a_pod_waits_for_a_usable_certificate_and_meanwhile_answers_probes() {
    let app = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let probes = format!(
        r#"[{{"path":"/probe/app/liveness","kind":"http","address":"127.0.0.1","port":{},"target":"/","timeoutSeconds":5}}]"#,
        app.port()
    );
    let setup = Setup::in_front_of(app)
        .process("[drain]\ndelay = \"0s\"")
        .tls("wait-for-certificate = true");
    let pki = TestPki::new(setup.algorithm);
    let good = pki.leaf(&["localhost", "127.0.0.1"]);
    let mismatched = Pair {
        cert: good.cert.clone(),
        key: pki.leaf(&["localhost"]).key,
    };
    let script = format!("HYBRIDGE_PROBES='{probes}' \"$0\" \"$@\"; true");
    let wrapper = ["sh", "-c", script.as_str()];
    let process = Process::start_with(&setup, pki, &mismatched, &wrapper)
        .await
        .unwrap();
    let (status, body) = process.admin("/readyz").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("no usable certificate yet"), "{body}");
    assert_eq!(process.admin("/livez").await.0, 200);
    assert_eq!(process.admin("/startupz").await.0, 200);
    assert_eq!(process.admin("/probe/app/liveness").await.0, 200);
    assert!(
        process
            .admin("/status")
            .await
            .1
            .contains("\"certificate\": null")
    );
    let refused = process.try_connect(client_config(&process.ca, &[])).await;
    assert!(refused.is_err());

    good.write_to(process.dir.path());
    eventually("the sidecar to be ready", async || {
        process.admin("/readyz").await.0 == 200
    })
    .await;
    let answer = process
        .exchange(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    assert!(
        answer.ends_with(b"hi"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    process.signal(Signal::TERM);
    process.ended().await;
}

#[tokio::test]
async fn elsewhere_a_start_without_a_usable_certificate_fails_at_once() {
    let setup = Setup::in_front_of("127.0.0.1:9");
    let pki = TestPki::new(setup.algorithm);
    let mismatched = Pair {
        cert: pki.leaf(&["localhost"]).cert,
        key: pki.leaf(&["localhost"]).key,
    };
    let log = Process::start_with(&setup, pki, &mismatched, &[]).await;
    assert!(log.is_err_and(|log| log.contains("key")));
}
