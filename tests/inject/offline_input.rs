//! The offline front with input that is empty, doubled or cannot be read whole, and notices that cannot be
//! written.

use clap::Parser;
use hybridge::inject::{Error, offline};

use crate::offline::{Cli, DEPLOYMENT, run, run_args};

/// Of two values kubectl's reader takes one, and another reader the other.
#[test]
fn a_key_that_occurs_twice_is_refused_in_json_as_in_yaml() {
    for text in [
        r#"{"apiVersion": "v1", "kind": "Pod", "kind": "ConfigMap", "spec": {"containers": []}}"#,
        "apiVersion: v1\nkind: Pod\nkind: ConfigMap\n",
    ] {
        let ran = run(&[], text);
        let error = ran.result.unwrap_err();
        let said = "-, document 1: key \"kind\" occurs twice in one mapping";
        assert_eq!(error.to_string(), said);
        assert_eq!((error.exit_code(), ran.out.as_str()), (64, ""));
    }
}

/// A command before the pipe that failed wrote nothing, and a part that was left out was not checked.
#[test]
fn check_does_not_pass_what_it_did_not_look_at() {
    for flags in [&["--check"][..], &[], &["--explain"]] {
        let error = run(flags, "\n").result.unwrap_err();
        assert!(error.to_string().starts_with("-: the input is empty"));
        assert_eq!(error.exit_code(), 64);
    }
    let injected = run(&[], DEPLOYMENT).out;
    for odd in ["just a text\n", "apiVersion: v1\nkind: List\n"] {
        let text = format!("{injected}---\n{odd}");
        let ran = run(&["--check"], &text);
        let error = ran.result.unwrap_err();
        assert!(matches!(error, Error::LeftOut(1)), "{error}");
        assert!(ran.notices.contains("warning: -, document 2: the document"));
        // Without --check it goes through, as everything does that is no pod.
        let through = run(&[], &text);
        assert!(through.result.is_ok() && through.out == text);
    }
}

#[test]
fn annotations_beside_the_template_are_warned_of() {
    let own = DEPLOYMENT.replacen(
        "metadata: {name: llama}",
        "metadata: {name: llama, annotations: {hybridge.dev/policy: hybrid-required}}",
        1,
    );
    let said = "warning: Deployment/llama: hybridge.dev/policy beside the pod template is not read: move it to spec.template.metadata";
    for flags in [&[][..], &["--explain"], &["--only-labelled"]] {
        let ran = run(flags, &own);
        assert!(ran.result.is_ok());
        assert!(ran.notices.contains(said), "{}", ran.notices);
        assert!(!run(flags, DEPLOYMENT).notices.contains("beside"));
    }
}

#[test]
fn standard_input_is_read_once() {
    let words = ["inject", "-f", "-", "-f", "-"];
    let args = Cli::try_parse_from(words).unwrap().inject.offline;
    let ran = run_args(&args, &mut DEPLOYMENT.as_bytes());
    let error = ran.result.unwrap_err();
    assert!(error.to_string().contains("can be read once"), "{error}");
    assert_eq!((error.exit_code(), ran.out.as_str()), (64, ""));
}

/// Nobody may read the notices, or where they go may be full; the manifests are what was asked for.
#[test]
fn a_notice_that_cannot_be_written_keeps_no_manifest_back() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    assert!(run(&[], text).notices.starts_with("note: no pod"));
    let args = Cli::try_parse_from(["inject", "-f", "-"]).unwrap();
    let mut out = Vec::new();
    let result = offline::run(
        &args.inject.offline,
        &mut text.as_bytes(),
        &mut out,
        &mut Full,
    );
    assert!(result.is_ok() && out == text.as_bytes());
}

/// Nobody writes into the pipe, and the device never ends; what never ends on standard input is cut.
#[test]
fn what_never_ends_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    let pipe = pipe.to_str().unwrap();
    let of = |words: &[&str], stdin: &mut dyn std::io::Read| {
        let words = ["inject"].iter().chain(words);
        let args = Cli::try_parse_from(words).unwrap().inject.offline;
        let error = run_args(&args, &mut std::io::BufReader::new(stdin)).result;
        error.unwrap_err().to_string()
    };
    let none = &mut std::io::empty();
    let said = of(&["-f", pipe], none);
    assert!(said.ends_with("`-` reads standard input"), "{said}");
    let said = of(&["-f", "/dev/zero"], none);
    assert!(said.ends_with("it is not a regular file"), "{said}");
    let said = of(&["-f", "-"], &mut std::io::repeat(b' '));
    assert!(
        said.ends_with("it is larger than 64 MiB, the most that is read"),
        "{said}"
    );
    for defaults in [pipe, "/dev/zero"] {
        let said = hybridge::inject::NamespaceDefaults::load(defaults).unwrap_err();
        assert_eq!(said, "it is not a regular file");
    }
}

/// In a comment for one reader of YAML, and an object for kubectl.
#[test]
fn a_line_that_only_kubectl_ends_hides_no_pod() {
    for c in ['\u{85}', '\u{2028}', '\u{2029}'] {
        let text = format!("# notes{c}apiVersion: v1{c}kind: Pod\n{DEPLOYMENT}");
        for flags in [&[][..], &["--check"]] {
            let ran = run(flags, &text);
            let error = ran.result.unwrap_err();
            assert!(error.to_string().contains("in line 1"), "{error}");
            assert_eq!((error.exit_code(), ran.out.as_str()), (64, ""));
        }
        let json = format!("{{\"kind\": \"ConfigMap\", \"data\": {{\"a\": \"{c}\"}}}}\n");
        assert_eq!(run(&[], &json).out, json);
    }
}
