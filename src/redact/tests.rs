//! What is shown, what is hidden, and that no piece of a key gets through.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[test]
fn what_operators_write_is_shown() {
    for text in [
        "0.0.0.0:8443",
        "/etc/hybridge/tls/tls.key",
        "/home/Alice/Documents/My Certificates/server-2026.pem",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-certs/tls.crt",
        "/mnt/e3b0c442-98fc-1c14-9afb-f4c8996fb924/..2026_11_25_18_14_00.1234/tls.key",
        "ghcr.io/example/vLLM-OpenAI:v0.11.0-RC1",
        "hybridge@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "HYBRIDGE_MAX_CONNECTIONS",
        "TLS_AES_256_GCM_SHA384",
        "SecP384r1MLKEM1024",
        "SecP256r1MLKEM768",
        "hybrid-prefered",
        "/opt/InferenceServer/Certificates",
    ] {
        assert_eq!(Shown::path(Path::new(text)).to_string(), text);
        assert_eq!(scrub(text), text);
    }
}

#[test]
fn what_may_be_a_key_is_hidden() {
    const LINE: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgkEFZ2zWuXm0YwrTJ";
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{LINE}\n-----END PRIVATE KEY-----\n");
    for (text, what) in [
        (pem.clone(), "(PEM text, 119 bytes, not shown)"),
        (pem.replace('\n', " "), "(PEM text, 119 bytes, not shown)"),
        (LINE.to_owned(), "(base64 text, 64 bytes, not shown)"),
        (format!("\"{LINE}\""), "(base64 text, 66 bytes, not shown)"),
        (
            format!("key: {LINE}"),
            "(text like a key, 69 bytes, not shown)",
        ),
        (
            format!("unix:/{LINE}"),
            "(text like a key, 70 bytes, not shown)",
        ),
        ("a1".repeat(41), "(base64 text, 82 bytes, not shown)"),
    ] {
        assert_eq!(Shown::from(text.as_str()).to_string(), what, "{text}");
        assert_eq!(format!("{:?}", Shown::from(text)), format!("{what:?}"));
    }
}

#[test]
fn a_long_or_broken_value_is_one_short_line() {
    assert_eq!(Shown::from("two\nlines").to_string(), "two…");
    assert_eq!(Shown::from("one\n").to_string(), "one");
    let long = "é".repeat(61);
    assert_eq!(
        Shown::from(long).to_string(),
        format!("{}…", "é".repeat(60))
    );
    assert_eq!(Shown::from("a\u{1b}[2J").to_string(), "a\u{fffd}[2J");
}

#[test]
fn a_message_loses_the_key_and_keeps_its_words() {
    let line = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAE";
    let message = format!("invalid type: string \"{line}\\n{line}\\nAbCdEf12=\", expected a map");
    let expected = "invalid type: string \"(base64 text, 85 bytes, not shown)\", expected a map";
    assert_eq!(scrub(&message), expected);
    let message = "found '-----BEGIN PRIVATE KEY----- x -----END PRIVATE KEY-----' here";
    assert_eq!(
        scrub(message),
        "found '(PEM text, 55 bytes, not shown)' here"
    );
    let cut = "found '-----BEGIN PRIVATE KEY-----\nshort";
    assert_eq!(scrub(cut), "found '(PEM text, 33 bytes, not shown)");
}

#[test]
fn a_message_may_speak_of_the_lines_of_pem() {
    for message in [
        "there is no `-----BEGIN …-----` line in it",
        "PEM block 1 (line 1) has no `-----END PRIVATE KEY-----` line: the file is cut short",
    ] {
        assert_eq!(scrub(message), message);
    }
    let field = "unknown field `-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----`";
    assert_eq!(
        scrub(field),
        "unknown field `(PEM text, 57 bytes, not shown)`"
    );
}

proptest! {
    /// Whatever stands around it and however its lines end, no 16 characters of a key are repeated.
    #[test]
    fn no_piece_of_a_key_gets_through(
        key in proptest::collection::vec(any::<u8>(), 48..600),
        width in 32_usize..80,
        separator in prop::sample::select(vec!["\n", " ", "", "\\n", "\r\n", "\", \"", "\n    "]),
        before in "[ -~]{0,30}",
        after in "[ -~]{0,30}",
    ) {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let body = BASE64_STANDARD.encode(&key);
        let lines: Vec<_> = body.as_bytes().chunks(width).map(|l| std::str::from_utf8(l).unwrap()).collect();
        let text = format!("{before}{}{after}", lines.join(separator));
        for output in [Shown::from(text.as_str()).to_string(), scrub(&text).into_owned()] {
            let flat: String = output.split_whitespace().collect();
            let leaked = body.as_bytes().windows(16).find(|piece| {
                let piece = std::str::from_utf8(piece).unwrap();
                output.contains(piece) || flat.contains(piece)
            });
            prop_assert!(leaked.is_none(), "{output}");
        }
    }
}
