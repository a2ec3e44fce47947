//! A server against itself: connections are drawn anew in every round, intervals leave out zero about as often as chance
//! has it, and a target that is really slower is found out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use hybridge_loadtest::tls::Group;
use std::net::SocketAddr;
use std::time::Duration;
use support::program::{assert_told, tool};
use support::{Pki, serve, serve_slowly};

const GROUPS: [Group; 1] = [Group::X25519MLKEM768];

/// A plan whose two targets claim to be the same server.
fn plan(folder: &std::path::Path, pki: &Pki, [a, b]: [SocketAddr; 2]) {
    std::fs::write(folder.join("ca.crt"), &pki.ca_pem).unwrap();
    let target = |name: &str, role: &str, address: SocketAddr| {
        format!(
            "[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"https://{address}\"\ngroups = [\"X25519MLKEM768\"]\n\
             ca = \"ca.crt\"\nserver_name = \"localhost\"\n"
        )
    };
    let text = format!(
        "name = \"twice\"\nrounds = 8\nblock = \"40ms\"\nwarmup = \"5ms\"\n{}{}\
         [[case]]\nscenario = \"h1-keepalive\"\nconnections = [1, 3]\n\
         [[case]]\nscenario = \"request-per-connection\"\nconnections = [2]\n",
        target("A", "subject", a),
        target("B", "baseline", b)
    );
    std::fs::write(folder.join("plan.toml"), text).unwrap();
}

const CHECK: [&str; 10] = [
    "check",
    "plan.toml",
    "--out",
    "out",
    "--runs",
    "4",
    "--at-most",
    "30",
    "--seed",
    "3",
];

/// The bound is wide: the few intervals of so short a form scatter, most of all beside other work.
#[tokio::test(flavor = "multi_thread")]
async fn one_server_twice_passes() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let server = serve(pki.server(&GROUPS)).await;
    plan(folder.path(), &pki, [server, server]);
    let output = tool(folder.path(), &CHECK);
    assert_told(&output, 0, &["run 4 of 4"]);
    let kept = std::fs::read_to_string(folder.path().join("out/check.md")).unwrap();
    for words in [
        "One server against itself",
        "| all |",
        "One request per connection",
    ] {
        assert!(kept.contains(words), "{words} is missing in: {kept}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_slower_breaks_the_bound() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let fair = serve(pki.server(&GROUPS)).await;
    let slow = serve_slowly(pki.server(&GROUPS), Duration::from_millis(2)).await;
    plan(folder.path(), &pki, [slow, fair]);
    assert_told(
        &tool(folder.path(), &CHECK),
        1,
        &["of the intervals leave out zero, --at-most is 30"],
    );
}
