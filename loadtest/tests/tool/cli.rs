//! The program from outside: what it answers, and what bad input is answered with.

use crate::support::program::{Place, assert_told, tool};
use crate::support::{Pki, serve, unused_address};
use hybridge_loadtest::tls::Group;

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_leaves_three_files_and_a_paragraph() {
    let place = Place::new().await;
    let output = place.compare(&["--out", "out"]);
    assert_told(&output, 0, &["wrote results.json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("A full handshake with X25519MLKEM768 takes"),
        "{text}"
    );
    for name in ["results.json", "report.md", "report.html", "figures.csv"] {
        assert!(
            place.folder.path().join("out").join(name).exists(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn results_have_a_folder_of_their_own_and_are_not_overwritten_unasked() {
    let place = Place::new().await;
    for _ in 0..2 {
        assert_told(&place.compare(&[]), 0, &["loadtest-results/20"]);
    }
    let folders = std::fs::read_dir(place.path("loadtest-results")).unwrap();
    assert_eq!(folders.count(), 2);
    assert_told(&place.compare(&["--out", "out"]), 0, &[]);
    assert_told(
        &place.compare(&["--out", "out"]),
        64,
        &["out/results.json", "--overwrite"],
    );
    assert_told(&place.compare(&["--out", "out", "--overwrite"]), 0, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_met_is_an_exit_code() {
    let place = Place::new().await;
    assert_told(
        &place.compare(&["--fail-if", "full-handshake.handshake-up > 100%"]),
        3,
        &[
            "--fail-if 'full-handshake.handshake-up > 100%' is met",
            "handshake bytes up",
        ],
    );
    assert_told(
        &place.compare(&["--fail-if", "full-handshake.handshake-up > 2000%"]),
        0,
        &[],
    );
    assert_told(
        &place.compare(&["--fail-if", "full-handshake.handshake-up > 100KiB"]),
        64,
        &["100KiB"],
    );
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
    let gone = unused_address();
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
    let file = place.path("ca.crt");
    let of_file = format!("not signed by a CA of {file}; ");
    assert_told(&place.compare(&[]), 1, &[&of_file, "--ca"]);
    std::fs::write(place.path("ca.crt"), "hello").unwrap();
    assert_told(
        &place.compare(&[]),
        64,
        &["ca.crt", "no usable CERTIFICATE"],
    );
}

/// "the CA that was given", and none was.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_ca_those_of_the_system_are_named() {
    let place = Place::new().await;
    let url = format!("https://{}", place.hybrid);
    let arguments = ["compare", "--hybrid", &url, "--server-name", "localhost"];
    assert_told(
        &tool(place.folder.path(), &arguments),
        1,
        &[
            "not signed by a CA of the system (/etc/",
            "no other was named",
            "with --ca",
        ],
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
            vec!["compare", "--scenario", "full-handshake", "--up", "1KiB"],
            vec!["--up is of no use", "plan full"],
        ),
        (
            vec!["compare", "--scenario", "idle", "--rate", "9"],
            vec!["--rate is of no use"],
        ),
        (
            vec!["compare", "--scenario", "idle", "--block", "9s"],
            vec!["--block is of no use"],
        ),
        (
            vec!["compare", "--hybrid", "http://127.0.0.1:1"],
            vec!["--hybrid is at http://"],
        ),
        (
            vec!["compare", "--ca", "-----BEGIN PRIVATE KEY-----\nMC4C"],
            vec!["32 bytes, not shown"],
        ),
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
