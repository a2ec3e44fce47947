//! What is kept when a run does not end as planned, and what several processes measured together.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::program::{BIN, Place, assert_told, tool};
use hybridge_loadtest::results::file;

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
    stopped_by(rustix::process::Signal::INT).await;
}

/// As a CI system and Kubernetes end what takes too long.
#[tokio::test(flavor = "multi_thread")]
async fn so_does_a_termination() {
    stopped_by(rustix::process::Signal::TERM).await;
}

async fn stopped_by(signal: rustix::process::Signal) {
    let place = Place::new().await;
    let plan = place.plan(300);
    let mut child = Command::new(BIN)
        .args(["run", &plan, "--out", "out"])
        .current_dir(place.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("remaining: Full handshake")));
    // Enough for some pairs of 25 ms blocks, far from the 300 of the plan.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
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
async fn the_pods_of_an_indexed_job_carry_their_shards() {
    let place = Place::new().await;
    let plan = place.plan(2);
    for index in ["0", "1"] {
        let status = Command::new(BIN)
            .args(["run", &plan, "--shard", "job/2", "--out", index, "--quiet"])
            .current_dir(place.folder.path())
            .env("JOB_COMPLETION_INDEX", index)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
    let shard = |name: &str| {
        let results = file::load(&place.folder.path().join(name)).unwrap();
        results.provenance.shard
    };
    assert_eq!([shard("0"), shard("1")], ["1/2", "2/2"]);
    let merged = tool(place.folder.path(), &["merge", "0", "1", "--out", "whole"]);
    assert_told(&merged, 0, &["merged 2 shards"]);
    let beyond = Command::new(BIN)
        .args(["run", &plan, "--shard", "job/2"])
        .current_dir(place.folder.path())
        .env("JOB_COMPLETION_INDEX", "2")
        .output()
        .unwrap();
    assert_told(&beyond, 64, &["--shard", "job/2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_run_by_several_processes_merge_into_one_run() {
    let place = Place::new().await;
    let plan = place.plan(3);
    let start = |shard: &str, out: &str| {
        Command::new(BIN)
            .args(["run", &plan, "--shard", shard, "--out", out, "--quiet"])
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
