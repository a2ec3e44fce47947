//! A file that somebody else sealed for another recipient too, classical or of a kind that is not known: it opens, with
//! a warning.

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use hybridge_seal::age::FileKey;
use hybridge_seal::age::header::Header;
use hybridge_seal::age::keys::Recipient;
use hybridge_seal::age::payload::PayloadKey;

use super::Stage;

/// The file key is known, so that the header can have what no `seal` writes.
fn seal_for_both(stage: &Stage, name: &str, plain: &[u8], other: &str) {
    let bytes = [7; 16];
    let key = FileKey::from_bytes(&bytes).unwrap();
    let recipient = String::from_utf8(stage.read("id/recipient.txt")).unwrap();
    let recipient = recipient
        .lines()
        .find(|line| line.starts_with("age1"))
        .unwrap();
    let recipient = Recipient::parse(recipient).ok().unwrap();
    let head = Header::write(&[recipient], &key).unwrap();
    let end = head.windows(5).rposition(|five| five == b"\n--- ").unwrap();
    let text = BASE64_STANDARD_NO_PAD.encode([9; 32]);
    let mut file = head[..=end].to_vec();
    file.extend_from_slice(format!("-> {other} {text}\n{text}\n---").as_bytes());
    let hmac = |key: &[u8], data: &[u8]| sign(&Key::new(HMAC_SHA256, key), data);
    let derived = hmac(hmac(&[], &bytes).as_ref(), b"header\x01");
    let mac = BASE64_STANDARD_NO_PAD.encode(hmac(derived.as_ref(), &file));
    file.extend_from_slice(format!(" {mac}\n").as_bytes());
    let nonce = [5; 16];
    file.extend_from_slice(&nonce);
    let payload = PayloadKey::new(&key, &nonce, file.len() as u64).unwrap();
    payload.seal(0, true, plain, &mut file).unwrap();
    stage.write(name, &file);
}

#[test]
fn a_classical_recipient_is_warned_of_once() {
    let stage = Stage::new();
    seal_for_both(&stage, "both.age", b"text", "X25519");
    for name in ["a", "b", "c"] {
        seal_for_both(&stage, &format!("both/{name}.age"), b"text", "X25519");
    }
    stage.ok("seal model/config.json both/good.age -r id/recipient.txt");
    for (line, says) in [
        (
            "open both.age out",
            "both.age: sealed for a classical recipient too",
        ),
        (
            "open both out",
            "both: files: a, b, c: sealed for a classical recipient too",
        ),
    ] {
        let ran = stage.ok(&format!("{line} -i id/identity.txt --unsafe-unsigned"));
        assert!(ran.err.contains(says), "{line}: {}", ran.err);
        let count = ran.err.matches("classical recipient").count();
        assert_eq!(count, 1, "{line}: {}", ran.err);
        let out = stage.path("out");
        if out.is_dir() {
            assert_eq!(stage.read("out/b"), b"text");
            std::fs::remove_dir_all(out).unwrap();
        } else {
            assert_eq!(stage.read("out"), b"text");
            std::fs::remove_file(out).unwrap();
        }
    }
}

/// What is said of the file by `inspect`, and by `open` on standard error.
#[test]
fn only_what_is_known_to_be_classical_is_called_so() {
    let stage = Stage::new();
    let (classical, unknown) = (
        "sealed for a classical recipient too",
        "it is not known whether a quantum computer opens it (`hybridge inspect` names the kind)",
    );
    for (kind, says, json, warning) in [
        ("mlkem768p256tag", "post-quantum  yes", "true", None),
        ("p256tag", "post-quantum  no: ", "false", Some(classical)),
        (
            "ssh-ed25519",
            "post-quantum  no: ",
            "false",
            Some(classical),
        ),
        (
            "q3]-grease",
            "post-quantum  not known: whether a quantum computer opens it through a recipient of the kind `q3]-grease`",
            "null",
            Some(unknown),
        ),
    ] {
        seal_for_both(&stage, "file.age", b"text", kind);
        let said = |line: &str| String::from_utf8(stage.ok(line).out).unwrap();
        let shown = said("inspect file.age");
        assert!(shown.contains(says), "{kind}: {shown}");
        let shown = said("inspect file.age --json");
        let field = format!("\"post_quantum\": {json}");
        assert!(shown.contains(&field), "{kind}: {shown}");
        let ran = stage.ok("open file.age out -i id/identity.txt --unsafe-unsigned --replace");
        for text in [classical, unknown] {
            let expected = warning == Some(text);
            assert_eq!(ran.err.contains(text), expected, "{kind}: {}", ran.err);
        }
    }
}

#[test]
fn a_directory_names_the_files_of_each_kind() {
    let stage = Stage::new();
    for (name, kind) in [("a", "X25519"), ("b", "x-grease"), ("c", "mlkem768p256tag")] {
        seal_for_both(&stage, &format!("all/{name}.age"), b"text", kind);
    }
    let ran = stage.ok("open all out -i id/identity.txt --unsafe-unsigned");
    for says in [
        "all: files: a: sealed for a classical recipient too",
        "all: files: b: sealed for a recipient too of whose kind",
    ] {
        assert!(ran.err.contains(says), "{}", ran.err);
    }
    assert!(!ran.err.contains("c: sealed"), "{}", ran.err);
}
