//! `hybridge inject` as a process: its variables, its streams, the end of its webhook.

use std::io::{BufRead, BufReader, Lines, Read as _, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_hybridge");

const POD: &str = "\
apiVersion: v1
kind: Pod
metadata: {name: vllm}
spec:
  containers:
  - name: vllm
    image: vllm/vllm-openai:v0.11.0
    args: [--host, 0.0.0.0]
    ports: [{containerPort: 8000}]
";

fn run(words: &[&str], variables: &[(&str, &str)], input: &str) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("inject").args(words);
    command.env_clear().envs(variables.iter().copied());
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = streams.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end without reading.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// An empty variable is unset and 1 is true, as for `run`.
#[test]
fn variables_count_as_those_of_run_do() {
    let plain = run(&["-f", "-"], &[], POD);
    assert!(plain.status.success(), "{}", said(&plain));
    let empty = [
        "HYBRIDGE_IMAGE",
        "HYBRIDGE_IMAGE_PULL_POLICY",
        "HYBRIDGE_IMAGE_PULL_SECRETS",
        "HYBRIDGE_TLS_SECRET",
        "HYBRIDGE_DEFAULT_POLICY",
        "HYBRIDGE_DEFAULTS",
        "HYBRIDGE_NAMESPACE_DEFAULTS",
        "HYBRIDGE_KUBERNETES_VERSION",
        "HYBRIDGE_PLATFORM_USER",
        "HYBRIDGE_PLAIN_CONTAINER",
    ];
    for value in ["", " "] {
        let ran = run(&["-f", "-"], &empty.map(|name| (name, value)), POD);
        assert!(ran.status.success(), "{}", said(&ran));
        assert_eq!(ran.stdout, plain.stdout);
    }
    let old = ["-f", "-", "--kubernetes-version", "1.28"];
    let flag = run(&[&old[..], &["--plain-container"]].concat(), &[], POD);
    assert!(flag.status.success(), "{}", said(&flag));
    for (value, is_on) in [
        ("1", true),
        ("true", true),
        ("TRUE", true),
        ("0", false),
        ("false", false),
    ] {
        let ran = run(&old, &[("HYBRIDGE_PLAIN_CONTAINER", value)], POD);
        assert_eq!(ran.status.success(), is_on, "{value}: {}", said(&ran));
        assert_eq!(ran.stdout == flag.stdout, is_on, "{value}");
    }
    let wrong = run(&old, &[("HYBRIDGE_PLAIN_CONTAINER", "maybe")], POD);
    assert_eq!(wrong.status.code(), Some(64), "{}", said(&wrong));
}

/// A command before the pipe that failed must not leave the check green.
#[test]
fn an_empty_input_fails_every_check() {
    for words in [&["check"][..], &["status"], &["--check"], &["-f", "-"]] {
        let ran = run(words, &[], "");
        assert_eq!(ran.status.code(), Some(64), "{words:?}");
        assert!(said(&ran).contains("the input is empty"), "{}", said(&ran));
    }
}

#[test]
fn manifests_are_printed_though_standard_error_is_full() {
    let room = tempfile::tempdir().unwrap();
    let file = room.path().join("service.yaml");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    std::fs::write(&file, service).unwrap();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut command = Command::new(PROGRAM);
    command
        .args(["inject", "-f"])
        .arg(&file)
        .stderr(full.unwrap());
    let output = command.output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), service);
}

/// A webhook with certificates of its own, and what it logs after its first line.
struct Webhook {
    _room: tempfile::TempDir,
    child: Child,
    begun: String,
    log: Lines<BufReader<ChildStderr>>,
}

impl Webhook {
    fn start() -> Self {
        let room = tempfile::tempdir().unwrap();
        let made = Command::new(PROGRAM)
            .args(["certs", "--dir"])
            .arg(room.path())
            .output();
        assert!(made.unwrap().status.success());
        // The soft limit is raised to the hard one, as that of `run`.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "ulimit -Sn 64 && ulimit -Hn 512 && exec \"$0\" \"$@\"",
            PROGRAM,
            "inject",
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ]);
        command.arg("--cert").arg(room.path().join("tls.crt"));
        command.arg("--key").arg(room.path().join("tls.key"));
        let streams = command.env_clear().stderr(Stdio::piped());
        let mut child = streams.stdout(Stdio::null()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let is_first = |line: &String| line.contains("serving the webhook");
        let begun = log.by_ref().map(Result::unwrap).find(is_first).unwrap();
        Self {
            _room: room,
            child,
            begun,
            log,
        }
    }

    /// The next line with this text.
    fn logs(&mut self, wanted: &str) -> Option<String> {
        let mut lines = self.log.by_ref().map(Result::unwrap);
        lines.find(|line| line.contains(wanted))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a support case needs first.
#[test]
fn the_first_line_of_the_webhook_says_what_runs() {
    let webhook = Webhook::start();
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    let image = concat!("image=localhost/hybridge:", env!("CARGO_PKG_VERSION"));
    let policy = "policy=\"hybrid-preferred\"";
    for field in [version, image, policy, "certificate_until=2"] {
        assert!(webhook.begun.contains(field), "{}", webhook.begun);
    }
}

/// As for a listener: the kubelet, or a load balancer, makes one every few seconds.
#[test]
fn a_tcp_health_check_of_the_webhook_is_no_line() {
    let mut webhook = Webhook::start();
    let (_, address) = webhook.begun.split_once("webhook=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    for _ in 0..20 {
        drop(TcpStream::connect(address).unwrap());
    }
    // Behind the others in the same queue, and answered.
    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let _ = plain.read_to_end(&mut Vec::new());
    let line = webhook.logs("no handshake").unwrap();
    assert!(line.contains("reason=\"plain_http\""), "{line}");
}

/// The first ends it in order, which takes seconds; the second at once.
#[test]
fn a_second_signal_ends_the_webhook_at_once() {
    let mut webhook = Webhook::start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", webhook.child.id())).unwrap();
    let mut files = limits
        .lines()
        .filter(|line| line.starts_with("Max open files"));
    let words: Vec<_> = files.next().unwrap().split_whitespace().collect();
    assert_eq!(words[3..5], ["512", "512"]);
    webhook.signal(Signal::TERM);
    assert!(webhook.logs("shutting down").is_some());
    let begin = Instant::now();
    webhook.signal(Signal::INT);
    let status = webhook.child.wait().unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    // Nothing was open, so nothing was cut.
    assert_eq!(status.code(), Some(0));
}
