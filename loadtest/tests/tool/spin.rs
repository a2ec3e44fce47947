//! A generator that spins for its moments, its backend within: every token is timed, and its core's being busy is no alarm.

use crate::support::program::{assert_told, tool};
use crate::support::unused_address;
use hybridge_loadtest::results::file;

#[test]
fn every_token_is_timed_by_a_generator_that_spins() {
    let folder = tempfile::tempdir().unwrap();
    let backend = unused_address().to_string();
    let target = |name: &str, role: &str| {
        format!("[[target]]\nname = \"{name}\"\nrole = \"{role}\"\nurl = \"http://{backend}\"\n")
    };
    let plan = format!(
        "name = \"test\"\nrounds = 2\nblock = \"20ms\"\nwarmup = \"1ms\"\n{}{}[[case]]\nscenario = \"token-stream\"\n\
         connections = [4]\ntokens = 6\ntoken_interval = \"2ms\"\n",
        target("one", "baseline"),
        target("other", "subject"),
    );
    std::fs::write(folder.path().join("plan.toml"), plan).unwrap();
    let arguments = ["run", "plan.toml", "--backend", &backend, "--spin"];
    let output = tool(folder.path(), &[&arguments[..], &["--out", "out"]].concat());
    assert_told(&output, 0, &["wrote results.json"]);

    let out = folder.path().join("out");
    let results = file::load(&out).unwrap();
    assert!(results.provenance.spins);
    let blocks = &results.cases[0].blocks;
    assert_eq!(blocks.len(), 4);
    for block in blocks {
        let late = block.late.as_ref().unwrap().histogram().unwrap();
        // The rest of an answer that a session begins with counts as served, but is not looked at.
        assert!(late.len() >= 6 * block.ops && late.len() <= block.units);
        assert_eq!(late.len() % 6, 0, "whole answers");
    }
    let report = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("| spun |"), "{report}");
    assert!(!report.contains("of its own cores"), "{report}");
}
