//! `check` of a plan of which something cannot be measured.

use crate::support::program::{Place, assert_told, tool};

/// Writes `plan.toml`, in which one server that knows the classical group alone is both sides.
fn plan(place: &Place, keys: &str, cases: &str) {
    let target = |name: &str, role: &str| {
        format!(
            "[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"https://{}\"\ngroups = [\"X25519\"]\n\
             ca = \"ca.crt\"\nserver_name = \"localhost\"\n",
            place.classical
        )
    };
    let text = format!(
        "name = \"test\"\n{keys}{}{}{cases}",
        target("A", "subject"),
        target("B", "baseline")
    );
    std::fs::write(place.path("plan.toml"), text).unwrap();
}

/// A server that takes the classical share needs no retry: the case is left out, and said to be.
#[tokio::test(flavor = "multi_thread")]
async fn cases_that_are_left_out_are_said() {
    let place = Place::new().await;
    plan(
        &place,
        "rounds = 6\nblock = \"20ms\"\nwarmup = \"5ms\"\n",
        "[[case]]\nscenario = \"full-handshake\"\n[[case]]\nscenario = \"hello-retry-handshake\"\n",
    );
    let arguments = [
        "check",
        "plan.toml",
        "--runs",
        "2",
        "--at-most",
        "100",
        "--out",
        "out",
    ];
    let output = tool(place.folder.path(), &arguments);
    assert_told(&output, 0, &["run 2 of 2"]);
    let kept = std::fs::read_to_string(place.path("out/check.md")).unwrap();
    for text in [&kept, &String::from_utf8_lossy(&output.stdout).into_owned()] {
        let told = "> **Note:** Handshake after HelloRetryRequest, 4 connections was left out: ";
        assert_eq!(text.matches(told).count(), 1, "{text}");
    }
}

/// No share of no intervals exists: neither good nor bad is said of the method.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_check_is_no_share() {
    let place = Place::new().await;
    let cases = "[[case]]\nscenario = \"idle\"\nconnections = [1]\n";
    plan(&place, "rounds = 2\n", cases);
    let arguments = ["check", "plan.toml", "--runs", "1", "--out", "out"];
    let output = tool(place.folder.path(), &arguments);
    assert_told(
        &output,
        1,
        &["no interval to check: no figure was measured on both sides"],
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("--at-most"), "{said}");
    let kept = std::fs::read_to_string(place.path("out/check.md")).unwrap();
    assert!(
        kept.contains("No interval came of 1 run of one server"),
        "{kept}"
    );
    assert!(kept.contains("| all | 0 | 0 | - |"), "{kept}");
}
