//! `report` of a result file that somebody else has made: it says what the file says, and does nothing that it asks for.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::fixture::results;
use crate::support::program::{assert_told, tool};
use hybridge_loadtest::results::file;

const HOSTILE: &str = "a\u{1b}[2J\u{202e}<script>alert(1)</script>![x](http://x.example)|\n# b";

type Change<'a> = Box<dyn FnOnce(&mut Value) + 'a>;

/// The report of a file that is changed.
fn report(folder: &Path, change: impl FnOnce(&mut Value)) -> Output {
    let mut json = serde_json::from_slice(&file::to_json(&results()).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(folder.join("results.json"), json.to_string()).unwrap();
    tool(folder, &["report", "results.json"])
}

fn rename(json: &mut Value, from: &str, to: &str) {
    match json {
        Value::String(text) if text == from => to.clone_into(text),
        Value::Array(list) => list.iter_mut().for_each(|value| rename(value, from, to)),
        Value::Object(map) => map.values_mut().for_each(|value| rename(value, from, to)),
        _ => {}
    }
}

fn obeys(text: &str) -> bool {
    text.contains(['\u{1b}', '\u{202e}'])
}

#[test]
fn names_and_words_are_shown_and_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let output = report(folder.path(), |json| {
        rename(json, "hybrid", HOSTILE);
        json["warnings"] = json!([HOSTILE]);
        json["skipped"] = json!([HOSTILE]);
        for name in ["plan_name", "version", "started"] {
            json["provenance"][name] = HOSTILE.into();
        }
        json["provenance"]["plan"] = "a = 1\n```\n<script>\u{1b}".into();
        json["provenance"]["versions"] = json!({ HOSTILE: HOSTILE });
    });
    assert_told(&output, 0, &["wrote "]);
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let [markdown, html, csv] = ["report.md", "report.html", "figures.csv"].map(read);
    for text in [&markdown, &html, &csv] {
        assert!(text.contains("alert(1)") && !obeys(text), "{text}");
    }
    let (report, plan) = markdown.split_once("## Plan\n").unwrap();
    let mut marks = report.match_indices(['<', '[']);
    let escaped = |at: usize| report[..at].ends_with('\\');
    // Brackets of intervals are the report's own.
    let own = |at: usize| report[at..].starts_with('[') && !report[at..].starts_with("[x]");
    assert!(marks.all(|(at, _)| escaped(at) || own(at)), "{report}");
    assert!(!report.contains("\n# b"), "{report}");
    assert!(plan.trim().starts_with("````toml\n"), "{plan}");
    assert!(!html.contains("<script"), "{html}");
    // Merged and compared as the others.
    let compared = tool(
        folder.path(),
        &["report", "results.json", "results.json", "--out", "."],
    );
    let said = String::from_utf8(compared.stdout).unwrap();
    assert!(said.contains("\\<script>") && !obeys(&said), "{said}");
}

#[test]
fn a_name_is_no_formula_of_a_spreadsheet() {
    let folder = tempfile::tempdir().unwrap();
    report(folder.path(), |json| rename(json, "hybrid", "=1+1"));
    let csv = std::fs::read_to_string(folder.path().join("figures.csv")).unwrap();
    assert!(csv.contains(",'=1+1,") && !csv.contains(",=1+1,"), "{csv}");
}

#[test]
fn what_is_refused_is_said_in_a_few_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let long = HOSTILE.repeat(10_000);
    let cases: [(&str, Change<'_>); 9] = [
        (
            "the schema",
            Box::new(|json| json["schema"] = long.clone().into()),
        ),
        ("unknown field", Box::new(|json| json[&long] = 1.into())),
        (
            "a text of more than 1024 bytes",
            Box::new(|json| json["targets"][0]["name"] = long.clone().into()),
        ),
        (
            "10001 entries in one list, where 10000",
            Box::new(|json| json["warnings"] = vec![""; 10_001].into()),
        ),
        (
            "1001 cases, where 1000",
            Box::new(|json| json["cases"] = vec![json["cases"][0].clone(); 1001].into()),
        ),
        (
            "a damaged count",
            Box::new(|json| json["checks"][0]["server"] = u64::MAX.into()),
        ),
        (
            "a damaged figure: -1e0",
            Box::new(|json| json["cases"][0]["blocks"][0]["elapsed_s"] = (-1.0).into()),
        ),
        (
            "a damaged figure: 1e300",
            Box::new(|json| json["cases"][0]["blocks"][0]["generator_cpu_s"] = 1e300.into()),
        ),
        (
            "a damaged histogram",
            Box::new(|json| json["cases"][0]["blocks"][0]["latency"] = "AAAA".into()),
        ),
    ];
    for (why, change) in cases {
        let output = report(folder.path(), change);
        assert_told(&output, 64, &["results.json is not a result file", why]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.len() < 1000 && !obeys(&said), "{said}");
    }
}

#[test]
fn a_pipe_and_a_device_are_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let at = "https://127.0.0.1:1";
    for name in ["pipe", "/dev/zero"] {
        for arguments in [
            &["report", name][..],
            &["merge", name, name],
            &["capacity", name],
            &["run", name],
            &["compare", "--hybrid", at, "--classical", at, "--ca", name],
        ] {
            let output = tool(folder.path(), arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                said.contains("it is not a regular file"),
                "{arguments:?}: {said}"
            );
        }
    }
}
