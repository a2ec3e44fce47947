//! What `inject status` and `inject check` are given: nothing, twice the same, hostile names, doubled keys.

use std::io::Cursor;

use hybridge::inject::ClusterArgs;
use hybridge::inject::cluster::{check, status};

use crate::cluster::{Command, namespace, placed, run};
use crate::support::vllm;

/// A failed kubectl in a pipe writes nothing. A list without items is its answer for a cluster without pods.
#[test]
fn an_input_of_no_bytes_is_no_answer() {
    for command in [status as Command, check] {
        let read = |text: &str| {
            let mut out = Vec::new();
            let mut input = Cursor::new(text.as_bytes().to_vec());
            command(&ClusterArgs::default(), &mut input, &mut out)
        };
        for (text, said) in [
            (
                "",
                "-: the input is empty, so nothing was looked at: look at the command before the pipe",
            ),
            (" \n", "-: the input is empty"),
            ("# nothing\n---\n", "the input holds no object and no list"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
            assert_eq!(error.exit_code(), 64);
        }
        read(r#"{"apiVersion": "v1", "kind": "List", "items": []}"#).unwrap();
    }
}

#[test]
fn standard_input_is_read_once() {
    for command in [status as Command, check] {
        let args = ClusterArgs {
            files: vec!["-".into(), "-".into()],
            ..ClusterArgs::default()
        };
        let error = command(&args, &mut Cursor::new(b"{}".to_vec()), &mut Vec::new());
        let error = error.unwrap_err();
        assert!(error.to_string().contains("can be read once"), "{error}");
        assert_eq!(error.exit_code(), 64);
    }
}

/// Names of a cluster's objects come from anyone who may create one.
#[test]
fn what_is_printed_of_objects_drives_no_terminal() {
    let objects = [
        namespace("ai\u{1b}[2J", Some("enabled\u{9b}\nok    all is well")),
        placed(vllm(), "ai\u{1b}[2J\nok", "old\u{202e}"),
    ];
    for command in [status as Command, check] {
        let (text, _) = run(command, &objects);
        let drives = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(drives), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("ok")), "{text}");
    }
}

#[test]
fn a_key_that_occurs_twice_is_refused_in_json_too() {
    let text = r#"{"kind": "Namespace", "metadata": {"name": "ai", "labels": {"hybridge.dev/injection": "enabled", "hybridge.dev/injection": "disabled"}}}"#;
    let read = check(
        &ClusterArgs::default(),
        &mut text.as_bytes(),
        &mut Vec::new(),
    );
    let error = read.unwrap_err().to_string();
    let said = "key \"hybridge.dev/injection\" occurs twice in one mapping";
    assert_eq!(error, format!("-, document 1: {said}"));
}
