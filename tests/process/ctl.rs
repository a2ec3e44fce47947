//! `hybridge ctl` as an operator or a preStop hook meets it: exit codes and messages.

use std::net::SocketAddr;

use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, answering, upstream, within};
use tokio::io::AsyncWriteExt;

/// Runs `hybridge ctl`; exit code, and what it says on either stream.
async fn ctl(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let running = tokio::process::Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .arg("ctl")
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .output();
    let output = within(running).await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

async fn ask(admin: SocketAddr, action: &str) -> (Option<i32>, String) {
    ctl(&[action, "--admin", &admin.to_string()], &[]).await
}

fn setup(stage: &Stage) -> Setup {
    Setup::in_front_of(stage.address).process("[drain]\ndelay = \"0s\"\ntimeout = \"1h\"")
}

fn done() -> (Option<i32>, String) {
    (Some(0), String::new())
}

fn draining() -> (Option<i32>, String) {
    let said = "draining: not ready; the process stays until `hybridge ctl quit` or SIGTERM\n";
    (Some(0), said.to_owned())
}

fn ending() -> (Option<i32>, String) {
    let said = "ending: open requests finish first; a second quit ends at once\n";
    (Some(0), said.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_tells_by_its_exit_code_and_names_the_reason() {
    let stage = Stage::new().await;
    let process = Process::start(&setup(&stage)).await;
    assert_eq!(ask(process.admin, "ready").await, done());
    assert_eq!(ask(process.admin, "drain").await, draining());
    process.refuses().await;
    assert_eq!(
        ask(process.admin, "ready").await,
        (Some(1), "hybridge: not ready; draining\n".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn drain_may_be_repeated_and_leaves_the_process_running() {
    let stage = Stage::new().await;
    let process = Process::start(&setup(&stage)).await;
    for _ in 0..3 {
        assert_eq!(ask(process.admin, "drain").await, draining());
    }
    process.refuses().await;
    assert_eq!(ask(process.admin, "drain").await, draining());
    assert_eq!(process.admin("/livez").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn quit_drains_and_ends_the_process() {
    let stage = Stage::new().await;
    let process = Process::start(&setup(&stage)).await;
    let mut client = process.connect(&["http/1.1"]).await;
    client
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    process
        .metric_reaches("hybridge_requests_open", &[], 1.0)
        .await;
    assert_eq!(ask(process.admin, "quit").await, ending());
    process.refuses().await;
    assert_eq!(process.admin("/livez").await.0, 200);
    stage.finish();
    assert_eq!(process.ended().await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_quit_ends_at_once() {
    let stage = Stage::new().await;
    let process = Process::start(&setup(&stage)).await;
    let mut client = process.connect(&["http/1.1"]).await;
    client
        .write_all(b"GET /hold HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    process
        .metric_reaches("hybridge_requests_open", &[], 1.0)
        .await;
    assert_eq!(ask(process.admin, "quit").await, ending());
    process.refuses().await;
    assert_eq!(ask(process.admin, "quit").await, ending());
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("hybridge: 1 connection was cut"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_port_is_taken_from_the_environment_too() {
    let stage = Stage::new().await;
    let process = Process::start(&setup(&stage)).await;
    let admin = process.admin.to_string();
    assert_eq!(ctl(&["ready"], &[("HYBRIDGE_ADMIN", &admin)]).await, done());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_on_the_admin_port_exits_1_and_asks_the_right_question() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = free.local_addr().unwrap();
    drop(free);
    for action in ["ready", "drain", "quit"] {
        let (code, message) = ask(admin, action).await;
        assert_eq!(code, Some(1));
        assert!(
            message.starts_with(&format!("hybridge: admin port {admin}: "))
                && message.ends_with("is the sidecar running, and is --admin right?\n"),
            "{message}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_on_the_admin_port_exits_1() {
    let refusing = answering(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 3\r\n\r\nno\n").await;
    assert_eq!(
        ask(refusing, "quit").await,
        (
            Some(1),
            format!("hybridge: admin port {refusing}: 403: no\n")
        )
    );
    let babbling = upstream(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH\r\n").await;
    })
    .await;
    let (code, message) = ask(babbling, "ready").await;
    assert_eq!(code, Some(1));
    assert!(
        message.starts_with(&format!("hybridge: admin port {babbling}: ")),
        "{message}"
    );
}

/// It drives no terminal and fills none.
#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_stranger_are_short_and_printable() {
    for (status, action) in [("503 x", "ready"), ("403 x", "quit")] {
        let body = format!("\x1b[2J\x1b]0;owned\x07\u{9b}no\n{}", "x".repeat(1 << 20));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stranger = answering((head + &body).leak().as_bytes()).await;
        let (code, message) = ask(stranger, action).await;
        assert_eq!(code, Some(1));
        let line = message.strip_suffix('\n').unwrap();
        assert!(line.contains("no; xxx") && line.ends_with('…'), "{line}");
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.chars().count() < 5000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_too_large_is_said_to_be() {
    const LENGTH: usize = 9 << 20;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n");
    let body = "[".repeat(LENGTH);
    let large = answering((head + &body).leak().as_bytes()).await;
    let (code, message) = ask(large, "census").await;
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("/census: larger than 8 MiB"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_on_the_admin_port_ends_after_five_seconds() {
    let silent = upstream(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    assert_eq!(
        ask(silent, "ready").await,
        (
            Some(1),
            format!("hybridge: admin port {silent}: no answer within 5 s\n")
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_exits_64() {
    for arguments in [
        &["ready", "--admin", "nowhere"][..],
        &["ready", "--admin", "none"],
        &["restart"],
        &[],
    ] {
        let (code, message) = ctl(arguments, &[]).await;
        assert_eq!(code, Some(64), "{arguments:?}: {message}");
        assert!(!message.is_empty());
    }
}
