//! The program from outside: what bad input is answered with, and what is kept when something goes wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hybridge_loadtest::results::file;
use hybridge_loadtest::tls::Group;
use support::{Pki, serve};
use tempfile::TempDir;

const BIN: &str = env!("CARGO_BIN_EXE_hybridge-loadtest");

/// A folder with the CA, the two servers and a plan that names them.
struct Place {
    folder: TempDir,
    hybrid: SocketAddr,
    classical: SocketAddr,
}

impl Place {
    async fn new() -> Self {
        let pki = Pki::new();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), &pki.ca_pem).unwrap();
        let hybrid = serve(pki.server(&[Group::X25519MLKEM768])).await;
        let classical = serve(pki.server(&[Group::X25519])).await;
        Self {
            folder,
            hybrid,
            classical,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn plan(&self, rounds: u32) -> String {
        let target = |name: &str, role: &str, address: SocketAddr| {
            format!(
                "[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"https://{address}\"\nca = \"{}\"\nserver_name = \"localhost\"\n",
                self.path("ca.crt")
            )
        };
        let text = format!(
            "name = \"test\"\nrounds = {rounds}\nblock = \"20ms\"\nwarmup = \"5ms\"\n{}{}\
             [[case]]\nscenario = \"full-handshake\"\n[[case]]\nscenario = \"h1-keepalive\"\n",
            target("hybrid", "subject", self.hybrid),
            target("classical", "baseline", self.classical)
        );
        std::fs::write(self.path("plan.toml"), text).unwrap();
        self.path("plan.toml")
    }

    fn compare(&self, more: &[&str]) -> Output {
        let (hybrid, classical) = (
            format!("https://{}", self.hybrid),
            format!("https://{}", self.classical),
        );
        let ca = self.path("ca.crt");
        let mut arguments = vec![
            "compare",
            "--quick",
            "--hybrid",
            &hybrid,
            "--classical",
            &classical,
        ];
        arguments.extend([
            "--ca",
            &ca,
            "--server-name",
            "localhost",
            "--scenario",
            "full-handshake",
        ]);
        arguments.extend([
            "--rounds",
            "2",
            "--block",
            "10ms",
            "--connections",
            "1",
            "--rtt",
            "0",
        ]);
        arguments.extend(more);
        tool(self.folder.path(), &arguments)
    }
}

fn tool(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(BIN)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Exit code and standard error.
fn told(output: &Output) -> (i32, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn assert_told(output: &Output, code: i32, words: &[&str]) {
    let (got, text) = told(output);
    assert_eq!(got, code, "{text}");
    for word in words {
        assert!(text.contains(word), "\"{word}\" is missing in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_leaves_three_files_and_a_paragraph() {
    let place = Place::new().await;
    let output = place.compare(&["--out", "out"]);
    assert_told(&output, 0, &["wrote results.json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("A full handshake with X25519MLKEM768 takes"),
        "{text}"
    );
    for name in ["results.json", "report.md", "report.html"] {
        assert!(
            place.folder.path().join("out").join(name).exists(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_url_that_serves_both_is_enough() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.crt"), &pki.ca_pem).unwrap();
    let both = serve(pki.server(&[Group::X25519MLKEM768, Group::X25519])).await;
    let url = format!("https://{both}");
    let output = tool(
        folder.path(),
        &[
            "compare",
            "--quick",
            "--hybrid",
            &url,
            "--ca",
            "ca.crt",
            "--server-name",
            "localhost",
            "--scenario",
            "full-handshake",
            "--rtt",
            "0",
            "--rounds",
            "2",
            "--block",
            "10ms",
        ],
    );
    assert_told(&output, 0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_target_is_named_with_its_address() {
    let place = Place::new().await;
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("https://{gone}");
    let output = tool(
        place.folder.path(),
        &["compare", "--hybrid", &url, "--ca", "ca.crt"],
    );
    assert_told(
        &output,
        1,
        &["hybrid", &gone.to_string(), "refused", "is it running"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_ca_is_told_as_such() {
    let place = Place::new().await;
    std::fs::write(place.path("ca.crt"), Pki::new().ca_pem).unwrap();
    assert_told(&place.compare(&[]), 1, &["not signed by the CA", "--ca"]);
    std::fs::write(place.path("ca.crt"), "hello").unwrap();
    assert_told(
        &place.compare(&[]),
        64,
        &["ca.crt", "no usable CERTIFICATE"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_hybrid_support_is_told_as_such() {
    let place = Place::new().await;
    let url = format!("https://{}", place.classical);
    let arguments = [
        "compare",
        "--hybrid",
        &url,
        "--ca",
        "ca.crt",
        "--server-name",
        "localhost",
    ];
    assert_told(
        &tool(place.folder.path(), &arguments),
        1,
        &["negotiated X25519 where X25519MLKEM768"],
    );
    let mut only = arguments.to_vec();
    only.extend(["--classical-group", "secp256r1"]);
    assert_told(
        &tool(place.folder.path(), &only),
        1,
        &["does not offer X25519MLKEM768"],
    );
}

#[test]
fn wrong_questions_are_answered_with_64_and_the_word_that_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("plan.toml"),
        "name=\"x\"\nspeed=3\n[[case]]\nscenario=\"mix\"",
    )
    .unwrap();
    std::fs::write(
        folder.path().join("old.json"),
        "{\"schema\":\"hybridge-loadtest/0\"}",
    )
    .unwrap();
    std::fs::write(folder.path().join("broken.json"), "{").unwrap();
    for (arguments, words) in [
        (vec!["run", "plan.toml"], vec!["plan.toml", "speed"]),
        (
            vec!["run", "no-such-plan"],
            vec!["no-such-plan", "quick, full"],
        ),
        (
            vec!["report", "old.json"],
            vec!["old.json", "hybridge-loadtest/0", "version"],
        ),
        (
            vec!["report", "broken.json"],
            vec!["broken.json", "not JSON"],
        ),
        (vec!["merge", "old.json"], vec!["old.json"]),
        (vec!["compare", "--rtt", "20"], vec!["--rtt", "\"20\""]),
        (
            vec!["compare", "--scenario", "fast"],
            vec!["fast", "full-handshake"],
        ),
        (
            vec!["compare", "--connections", "10001"],
            vec!["1 to 10000"],
        ),
        (
            vec!["compare", "--rounds", "1"],
            vec!["--rounds", "at least 2"],
        ),
        (vec!["compare", "--shard", "3/2"], vec!["--shard", "3/2"]),
        (
            vec!["compare", "--shard", "job/2"],
            vec!["JOB_COMPLETION_INDEX"],
        ),
        (vec!["compare", "--group", "X448"], vec!["X448"]),
        (
            vec!["compare", "--hybridge", "nowhere"],
            vec!["--hybridge", "nowhere"],
        ),
        (
            vec!["compare", "--classical", "https://127.0.0.1:1"],
            vec!["--hybrid"],
        ),
    ] {
        assert_told(&tool(folder.path(), &arguments), 64, &words);
    }
}

#[test]
fn a_result_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    assert_told(
        &tool(folder.path(), &["report", "nowhere.json"]),
        1,
        &["nowhere.json", "cannot read"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_the_results_are_printed_instead() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: /dev/full is not here");
        return;
    }
    let place = Place::new().await;
    std::fs::create_dir(place.path("out")).unwrap();
    for name in ["results.json.part", "report.md.part", "report.html.part"] {
        std::os::unix::fs::symlink("/dev/full", place.folder.path().join("out").join(name))
            .unwrap();
    }
    let output = place.compare(&["--out", "out"]);
    assert_told(&output, 1, &["results.json", "No space left", "--out"]);
    let kept: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(kept["cases"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_keeps_what_was_measured() {
    let place = Place::new().await;
    let plan = place.plan(300);
    let mut child = Command::new(BIN)
        .args(["run", &plan, "--out", "out"])
        .current_dir(place.folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not stop");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(130));
    let results = file::load(&place.folder.path().join("out")).unwrap();
    assert!(results.provenance.interrupted && !results.cases.is_empty());
    assert!(
        std::fs::read_to_string(place.path("out/report.md"))
            .unwrap()
            .contains("was interrupted")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_run_by_several_processes_merge_into_one_run() {
    let place = Place::new().await;
    let plan = place.plan(3);
    let start = |shard: &str, out: &str| {
        Command::new(BIN)
            .args([
                "run", &plan, "--seed", "7", "--shard", shard, "--out", out, "--quiet",
            ])
            .current_dir(place.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut shards = [start("1/3", "a"), start("2/3", "b"), start("3/3", "c")];
    for shard in &mut shards {
        assert!(shard.wait().unwrap().success());
    }
    let merged = tool(
        place.folder.path(),
        &["merge", "a", "b", "c", "--out", "whole"],
    );
    assert_told(&merged, 0, &["merged 3 shards"]);
    let ops = |name: &str| -> Vec<u64> {
        let results = file::load(&place.folder.path().join(name)).unwrap();
        results
            .cases
            .iter()
            .map(|case| case.blocks.iter().map(|block| block.ops).sum())
            .collect()
    };
    let parts: Vec<u64> = (0..2)
        .map(|case| ["a", "b", "c"].map(|name| ops(name)[case]).iter().sum())
        .collect();
    assert_eq!(ops("whole"), parts);
    let whole = file::load(&place.folder.path().join("whole")).unwrap();
    for block in whole.cases.iter().flat_map(|case| &case.blocks) {
        assert_eq!(block.latency.histogram().unwrap().len(), block.ops);
    }
    assert_told(
        &tool(place.folder.path(), &["merge", "a", "a"]),
        64,
        &["not shards of one run"],
    );
    assert_told(
        &tool(place.folder.path(), &["report", "a", "b", "--out", "both"]),
        0,
        &[],
    );
}
