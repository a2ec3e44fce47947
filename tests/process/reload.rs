//! SIGHUP on the built binary: the whole configuration is read again, and open connections of what did not
//! change do not notice.

mod agent;
mod broken;
mod expiry;
mod failing;
mod named;
mod sockets;
mod traces;
mod unix;
mod waiting;

use crate::support::client::{Client, ask, read_to_end, read_until, stream};
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, client_config, connect, eventually, within};
use rustix::process::Signal;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DRAIN: &str = "workers = 2\n[drain]\ndelay = \"0s\"\ntimeout = \"60s\"";

fn status(page: &str) -> serde_json::Value {
    serde_json::from_str(page).unwrap()
}

/// Writes another configuration and tells the process.
fn reload(process: &Process, toml: &str) {
    let file = process.dir.path().join("hybridge.toml");
    std::fs::write(file, toml).unwrap();
    process.signal(Signal::HUP);
}

async fn configuration(process: &Process) -> serde_json::Value {
    status(&process.admin("/status").await.1)["configuration"].clone()
}

/// Waits until so many configurations have been in use.
async fn generation(process: &Process, count: u64) {
    eventually(
        &format!("generation {count}: {}", process.log()),
        async || configuration(process).await["generation"] == count,
    )
    .await;
}

/// Where one of that name listens, if there is one.
async fn address(process: &Process, sides: &str, name: &str) -> Option<SocketAddr> {
    let page = status(&process.admin("/status").await.1);
    let sides = page[sides].as_array().unwrap();
    let side = sides.iter().find(|side| side["name"] == name)?;
    Some(side["addresses"][0].as_str().unwrap().parse().unwrap())
}

async fn client(process: &Process, address: SocketAddr) -> Client {
    let config = client_config(&process.ca, &["http/1.1"]);
    within(connect(address, config)).await.unwrap()
}

async fn streaming(process: &Process, address: SocketAddr) -> Client {
    stream(client(process, address).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_listener_serves_new_clients_by_it_and_open_streams_to_their_end() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address)
        .process(DRAIN)
        .second_listener("");
    let process = Process::start(&setup).await;
    let second = address(&process, "listeners", "second").await.unwrap();
    let mut stream = streaming(&process, process.address).await;
    let mut idle = client(&process, process.address).await;
    ask(&mut idle, "/").await;
    read_until(&mut idle, "done").await;
    let mut untouched = client(&process, second).await;
    ask(&mut untouched, "/").await;
    read_until(&mut untouched, "done").await;

    let changed = setup.clone().tls("policy = \"classical-only\"");
    reload(&process, &changed.toml(&process.dir));
    generation(&process, 2).await;
    process.logs("changed=test").await;
    // Its former connections end as at the end of a process: those with work at its end.
    assert_eq!(read_to_end(&mut idle).await, "");
    read_until(&mut stream, "data: x").await;
    let again = address(&process, "listeners", "test").await.unwrap();
    assert_eq!(again, process.address);
    let mut new = client(&process, process.address).await;
    ask(&mut new, "/").await;
    read_until(&mut new, "done").await;
    let classical = [
        ("listener", "test"),
        ("offered", "hybrid"),
        ("group", "X25519"),
    ];
    assert_eq!(
        process
            .metric("hybridge_handshakes_total", &classical)
            .await,
        1.0
    );
    // The other listener's client is served on.
    ask(&mut untouched, "/").await;
    let answer = read_until(&mut untouched, "done").await;
    assert!(!answer.contains("connection: close"), "{answer}");

    stage.finish();
    let end = read_to_end(&mut stream).await;
    assert!(end.ends_with("0\r\n\r\n"), "{end}");
    let ok = [("result", "ok")];
    assert_eq!(
        process.metric("hybridge_config_reloads_total", &ok).await,
        1.0
    );
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_come_and_go_and_the_others_go_on() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let mut untouched = streaming(&process, process.address).await;
    let both = setup.clone().second_listener("");
    reload(&process, &both.toml(&process.dir));
    generation(&process, 2).await;
    process.logs("added=second").await;
    let second = address(&process, "listeners", "second").await.unwrap();
    let mut stream = streaming(&process, second).await;

    reload(&process, &setup.toml(&process.dir));
    generation(&process, 3).await;
    process.logs("removed=second").await;
    assert_eq!(address(&process, "listeners", "second").await, None);
    eventually("the removed listener to refuse", async || {
        TcpStream::connect(second).await.is_err()
    })
    .await;
    let page = process.admin("/metrics").await.1;
    let fact = "hybridge_certificate_expiry_timestamp_seconds{listener=\"second\"}";
    assert!(!page.contains(fact), "{page}");
    read_until(&mut stream, "data: x").await;
    read_until(&mut untouched, "data: x").await;
    stage.finish();
    for stream in [&mut stream, &mut untouched] {
        assert!(read_until(stream, "0\r\n\r\n").await.ends_with("0\r\n\r\n"));
    }
    let open = [("listener", "second")];
    process
        .metric_is("hybridge_connections_open", &open, 0.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_drain_timeout_is_cut_and_the_process_still_ends_with_0() {
    let stage = Stage::new().await;
    let short = "[drain]\ndelay = \"0s\"\ntimeout = \"0s\"";
    let setup = Setup::in_front_of(stage.address).process(short);
    let process = Process::start(&setup).await;
    let mut stream = streaming(&process, process.address).await;
    let changed = setup.clone().limits("max-streams = 7");
    reload(&process, &changed.toml(&process.dir));
    generation(&process, 2).await;
    let mut rest = Vec::new();
    let cut = within(stream.read_to_end(&mut rest)).await;
    assert!(
        cut.is_err() || !rest.ends_with(b"0\r\n\r\n"),
        "{}",
        rest.escape_ascii()
    );
    process
        .logs("connections under the former settings were cut")
        .await;
    let outcome = [("listener", "test"), ("outcome", "cut")];
    process
        .metric_is("hybridge_connections_total", &outcome, 1.0)
        .await;
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_is_named_and_stays() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let other = setup
        .toml(&process.dir)
        .replace("workers = 2", "workers = 3");
    let other = other.replace(
        "[admin]\nlisten = \"127.0.0.1:0\"",
        "[admin]\nlisten = \"none\"",
    );
    reload(&process, &other);
    process.logs("settings=\"workers,admin.listen\"").await;
    process.logs("configuration unchanged").await;
    let now = configuration(&process).await;
    assert_eq!(now["generation"], 1, "{now}");
    assert_eq!(
        now["next_start"],
        serde_json::json!(["workers", "admin.listen"])
    );
    assert_eq!(now["error"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_egress_comes_changes_and_goes() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let ca = process.dir.path().join("ca.crt");
    std::fs::write(&ca, &process.ca).unwrap();
    let egress = |timeout: &str| {
        format!(
            "{}\n[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:{}\"\n[egress.timeouts]\nconnect-timeout = \"{timeout}\"\n[egress.tls]\nca = \"{}\"\n",
            setup.toml(&process.dir),
            process.address.port(),
            ca.display(),
        )
    };
    reload(&process, &egress("5s"));
    generation(&process, 2).await;
    let out = address(&process, "egresses", "out").await.unwrap();
    let mut app = TcpStream::connect(out).await.unwrap();
    let request = b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n";
    app.write_all(request).await.unwrap();
    let mut event = [0; 16];
    within(app.read_exact(&mut event)).await.unwrap();

    reload(&process, &egress("6s"));
    generation(&process, 3).await;
    assert_eq!(address(&process, "egresses", "out").await, Some(out));
    let mut second = TcpStream::connect(out).await.unwrap();
    second.write_all(request).await.unwrap();
    for app in [&mut app, &mut second] {
        within(app.read_exact(&mut event)).await.unwrap();
    }
    reload(&process, &setup.toml(&process.dir));
    generation(&process, 4).await;
    assert_eq!(address(&process, "egresses", "out").await, None);
    within(second.read_exact(&mut event)).await.unwrap();
    eventually("the removed egress to refuse", async || {
        TcpStream::connect(out).await.is_err()
    })
    .await;
}
