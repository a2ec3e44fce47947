//! `hybridge demo` as a user meets it: a process that prints what to type, and a stub model server
//! whose every route works through both listeners, over HTTP/1.1 and HTTP/2.

mod grpc;
mod process;
mod routes;
mod websocket;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use http_body_util::BodyExt;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::support::within;
use process::{Demo, demo, post, question};

const HYBRID: &str = "X25519MLKEM768";
const CLASSICAL: &str = "X25519";

#[tokio::test]
async fn the_printed_commands_work_when_pasted() {
    let mut demo = Demo::start_in("it's a \"folder\"");
    let (hybrid, classical) = (demo.address("hybrid:"), demo.address("classical:"));
    let admin = demo.address("admin:");
    let commands: Vec<String> = demo.commands().iter().map(ToString::to_string).collect();
    let [probe, stream, compare, plaintext, stop, openssl] = &commands[..] else {
        panic!("{commands:?}");
    };
    let ca = demo.made().unwrap().join("ca.crt");
    let first = format!("CA: {}\n", ca.display());
    assert!(demo.guide.starts_with(&first), "{}", demo.guide);
    assert!(stream.starts_with("curl -N --cacert "), "{stream}");
    assert!(stream.contains(&format!("https://{hybrid}/v1/chat/completions")));
    assert!(compare.contains(&format!("https://{classical}/health")));
    assert!(compare.contains(&format!("http://{admin}/metrics | grep ")));
    assert_eq!(*stop, format!("kill {}", demo.child.id()));
    assert!(openssl.contains(&format!("-connect {hybrid}")), "{openssl}");
    assert!(openssl.contains(&format!("-groups {CLASSICAL}:{HYBRID}")));
    let shell = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let probed = shell(probe);
    assert!(
        probed.contains(&format!("key exchange  {HYBRID} (hybrid")),
        "{probed}"
    );
    assert!(probed.contains("trusted by"), "{probed}");
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("SKIPPED: no curl here, so the commands were looked at and not run");
        return;
    }
    let streamed = shell(stream);
    assert!(streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    assert!(streamed.contains("x-tls-key-exchange"), "{streamed}");
    let compared = shell(compare);
    for listener in ["hybrid", "classical"] {
        for family in ["bytes", "duration_seconds"] {
            let found = compared.lines().any(|line| {
                line.starts_with(&format!("hybridge_handshake_{family}_sum{{"))
                    && line.contains(&format!("listener=\"{listener}\""))
            });
            assert!(found, "{family} of {listener}: {compared}");
        }
    }
    both_ends_agree(&shell(plaintext));
    shell(stop);
    assert_eq!(demo.child.wait().unwrap().code(), Some(0));
}

/// To the byte, with the ticket that the server counts in its handshake and the client apart.
fn both_ends_agree(printed: &str) {
    let evidence = format!("\"x-tls-key-exchange\":\"{HYBRID}\"");
    assert!(printed.contains(&evidence), "{printed}");
    let value = |family: &str, labels: &[&str]| -> u64 {
        let found: Vec<&str> = printed
            .lines()
            .filter(|line| line.starts_with(family) && labels.iter().all(|l| line.contains(l)))
            .collect();
        let [line] = found[..] else {
            panic!("{family} {labels:?}: {printed}");
        };
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let bytes = |side: &str, direction: &str| {
        let group = format!("group=\"{HYBRID}\"");
        let direction = format!("direction=\"{direction}\"");
        value("hybridge_handshake_bytes_sum", &[side, &direction, &group])
    };
    let (app, server) = ("listener=\"app\"", "listener=\"from-egress\"");
    assert!(bytes(app, "out") > 1000, "{printed}");
    assert_eq!(bytes(app, "out"), bytes(server, "in"), "{printed}");
    let ticket = value("hybridge_ticket_bytes_total", &[app]);
    assert_eq!(bytes(app, "in") + ticket, bytes(server, "out"), "{printed}");
}

#[tokio::test]
async fn a_signal_ends_it_and_nothing_is_left_behind() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut demo = Demo::start();
        let made = demo.made().unwrap();
        assert!(made.join("tls.key").is_file());
        let (code, rest) = demo.end(signal);
        assert_eq!((code, rest.as_str()), (Some(0), ""));
        assert_eq!(demo.made(), None, "{}", made.display());
    }
}

#[tokio::test]
async fn a_stream_does_not_hold_the_end_up_for_long() {
    let mut demo = Demo::start();
    let fields = json!({ "stream": true, "hybridge_interval_ms": 3_600_000 });
    let request = post("/v1/chat/completions", &question(&fields));
    let mut response = demo.send("hybrid:", "h2", request).await;
    within(response.body_mut().frame()).await.unwrap().unwrap();
    let (code, rest) = demo.end(Signal::TERM);
    assert_eq!((code, rest.as_str()), (Some(0), "connections cut: 1\n"));
    assert_eq!(demo.made(), None);
}

#[test]
fn the_stub_serves_without_a_sidecar_until_a_signal() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hybridge"))
        .args(["demo", "--stub", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let address = line.trim().rsplit('/').next().unwrap().to_owned();
    let mut client = TcpStream::connect(&address).unwrap();
    client.write_all(b"GET /health HTTP/1.0\r\n\r\n").unwrap();
    let mut reply = String::new();
    client.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.0 200"), "{reply}");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_port_in_use_and_an_address_given_twice_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let free = "127.0.0.1:0";
    for (addresses, code, expected) in [
        ([taken.as_str(), free, free, free, free], 1, "in use"),
        (
            [taken.as_str(), &taken, free, free, free],
            64,
            "also taken by --listen: give each its own port",
        ),
        ([free, free, &taken, &taken, free], 64, "--egress-listen: "),
        ([free, free, free, &taken, free], 1, "--egress-listen"),
        ([free, free, free, free, &taken], 1, "--egress-admin"),
    ] {
        let output = demo(addresses, folder.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        let last = error.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(last.starts_with("hybridge: "), "{error}");
        assert!(last.contains(&taken) && last.contains(expected), "{error}");
        assert!(output.stdout.is_empty());
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

#[test]
fn an_address_that_the_demo_cannot_have_is_told_by_its_flag() {
    let folder = tempfile::tempdir().unwrap();
    let free = "127.0.0.1:0";
    for (addresses, expected) in [
        (
            [free, free, free, "10.0.0.1:1", free],
            "--egress-listen: 10.0.0.1:1 is not loopback: what apps send there is plaintext; use 127.0.0.1 or [::1]",
        ),
        (
            [free, free, "none", free, free],
            "`none` is no address: write 127.0.0.1:PORT",
        ),
    ] {
        let output = demo(addresses, folder.path()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(
            !error.contains("unsafe") && !error.contains("demo:"),
            "{error}"
        );
    }
}
