//! What is shown, what is hidden, and that no piece of a key gets through.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

mod credentials;

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
        use ::base64::prelude::{BASE64_STANDARD, Engine as _};
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

#[test]
fn an_identity_of_age_is_a_secret_and_a_recipient_is_none() {
    let data = "HZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6YLNC3SW78XKG";
    for identity in [
        format!("AGE-SECRET-KEY-PQ-1{data}"),
        format!("age-secret-key-1{}", data.to_lowercase()),
    ] {
        assert_eq!(Secret::of(&identity), Some(Secret::Identity));
        assert!(Secret::Identity.is_whole());
        let clean = scrub(&format!("cannot read {identity}: no such file")).into_owned();
        let length = identity.len();
        let hidden =
            format!("cannot read (an age identity, {length} bytes, not shown): no such file");
        assert_eq!(clean, hidden);
    }
    let mention = "one begins with AGE-SECRET-KEY-PQ-1 (`hybridge keys seal`)";
    assert_eq!(scrub(mention), mention);
    let recipient = format!("age1pq1{}", data.to_lowercase().repeat(30));
    assert_eq!(Secret::of(&recipient), None);
}

#[test]
fn an_identity_without_its_prefix_is_one_too() {
    let data = "LQT3CHAHW6CHZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6Y";
    assert_eq!(data.len(), 58);
    for word in [
        data.to_owned(),
        format!("1{data}"),
        data.to_lowercase(),
        format!("PQ-1{data}"),
        data[..50].to_owned(),
    ] {
        assert_eq!(Secret::of(&word), Some(Secret::Identity), "{word}");
        for message in [
            Shown::from(word.as_str()).to_string(),
            scrub(&format!("cannot read {word}: No such file")).into_owned(),
        ] {
            assert!(message.contains("an age identity"), "{message}");
            assert!(!message.contains(&word[10..26]), "{message}");
        }
    }
    let digest = "023456789acdef".repeat(5)[..64].to_owned();
    let digest = format!("hybridge@sha256:{digest}");
    assert_eq!(Shown::path(Path::new(&digest)).to_string(), digest);
}

#[test]
fn a_pin_is_hidden_however_its_name_is_written() {
    for name in [
        "pin-value=",
        "PIN-VALUE=",
        "pin%2Dvalue=",
        "pin%2dvalue%3D",
        "%70in-value=",
        "%50%49%4e%2D%56%41%4C%55%45=",
        "pin%252Dvalue=",
    ] {
        for pin in ["9182736455", "9182 736455", "91%3827'36455", "9182;736455"] {
            let uri = format!("PKCS11:token=t;object=k?{name}{pin}");
            assert_eq!(Secret::of(&uri), Some(Secret::Pin), "{uri}");
            let shown = Shown::path(Path::new(&uri)).to_string();
            assert_eq!(
                shown,
                format!("(a URI with a PIN, {} bytes, not shown)", uri.len())
            );
            for message in [
                format!("private key file {uri} does not exist"),
                format!("found '{uri}' here"),
                format!("found `{uri}` here"),
                format!("{{\"key\":\"{uri}\",\"more\":1}}"),
            ] {
                let clean = scrub(&message).into_owned();
                assert!(!clean.contains("736455"), "{clean}");
                assert!(!clean.contains("9182"), "{clean}");
                assert!(clean.contains("token=t;object=k?(a URI"), "{clean}");
                assert_eq!(scrub(&clean), clean);
            }
        }
    }
    let json = scrub("{\"key\":\"pkcs11:a?pin-value=1234\",\"more\":1}").into_owned();
    assert!(json.ends_with("not shown)\",\"more\":1}"), "{json}");
    let mention =
        "pin-value would be a secret in a file that others read: write pin-source=file:/PATH";
    assert_eq!(scrub(mention), mention);
    assert_eq!(Secret::of(mention), None);
}

#[test]
fn user_and_password_before_a_host_are_hidden() {
    for (written, shown) in [
        (
            "user:hunter2secret@host:443",
            "(userinfo, not shown)@host:443",
        ),
        ("hunter2secret@host:443", "(userinfo, not shown)@host:443"),
        (
            "https://user:hunter2secret@host",
            "https://(userinfo, not shown)@host",
        ),
        (
            "http://hunter2secret@x/a",
            "http://(userinfo, not shown)@x/a",
        ),
        (
            "https://user:hunter2/secret@host:1/a",
            "https://(userinfo, not shown)@host:1/a",
        ),
        (
            "https://a:hunter2@secret@host",
            "https://(userinfo, not shown)@host",
        ),
        ("tok:hunter2secret@x", "(userinfo, not shown)@x"),
        (
            "https://user:hunter2'x@h.example:443",
            "https://(userinfo, not shown)@h.example:443",
        ),
        (
            "https://user:hunter2`x\"y z@h.example:443",
            "https://(userinfo, not shown)@h.example:443",
        ),
        // A number before the slash may be of a password, as well as a port.
        (
            "http://user:12/hunter2@127.0.0.1:4318",
            "http://(userinfo, not shown)@127.0.0.1:4318",
        ),
        ("https://host:8443/a@b", "https://(userinfo, not shown)@b"),
        ("https:user:hunter2@h", "(userinfo, not shown)@h"),
    ] {
        assert_eq!(Shown::from(written).to_string(), shown);
        if written.contains("://") || !written.contains(' ') {
            let message = format!("`{written}` is no address");
            assert_eq!(scrub(&message), format!("`{shown}` is no address"));
        }
    }
    for text in [
        "python:3.11@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "https://127.0.0.1:8443/a@b",
        "https://[::1]:8443/a@b",
        "https://localhost:8443/a@b",
        "somebody@example.org",
        "http://127.0.0.1:8006/cdh/resource/default/key/model",
    ] {
        assert_eq!(Shown::path(Path::new(text)).to_string(), text);
        assert_eq!(scrub(text), text);
    }
}

#[test]
fn what_an_argument_has_before_a_host_is_hidden_wherever_it_is_repeated() {
    let arguments = ["scan", "--ca=u:pa ss@h:1", "user:hunter2@127.0.0.1:1"].map(str::to_owned);
    let message = "cannot read user:hunter2@127.0.0.1:1, or u:pa ss@h:1 in user:hunter2@x";
    assert_eq!(
        without_userinfo_of(message, &arguments),
        "cannot read (userinfo, not shown)@127.0.0.1:1, or (userinfo, not shown)@h:1 in (userinfo, not shown)@x"
    );
    let mention =
        "image 'python:3.11@sha256:e3b0' and \"somebody@example.org\" and 'a' at b@c:1 'd'";
    assert_eq!(scrub(mention), mention);
}

#[test]
fn the_query_of_a_url_is_hidden() {
    for (written, shown) in [
        (
            "http://127.0.0.1:4318/?api-key=Hunter2Pw",
            "http://127.0.0.1:4318/?(query, not shown)",
        ),
        (
            "http://h.example#Hunter2Pw",
            "http://h.example#(query, not shown)",
        ),
        (
            "http://127.0.0.1:1/?user=a@h&k=Hunter2Pw",
            "http://127.0.0.1:1/?(query, not shown)",
        ),
        (
            "https://me:pw@h.example/?k=Hunter2Pw",
            "https://(userinfo, not shown)@h.example/?(query, not shown)",
        ),
    ] {
        assert_eq!(Shown::from(written).to_string(), shown);
        let clean = scrub(&format!("`{written}` has a query")).into_owned();
        assert_eq!(clean, format!("`{shown}` has a query"));
        assert_eq!(scrub(&clean), clean);
    }
    let bare = Shown::from("127.0.0.1:4318/?api-key=Hunter2Pw").to_string();
    assert_eq!(bare, "127.0.0.1:4318/?(query, not shown)");
    for mixed in [
        "http://h:1/?user=a@h&k=Hunter2Pw",
        "http://u:p?Hunter2Pw@h/Hunter2Pw",
    ] {
        for message in [Shown::from(mixed).to_string(), scrub(mixed).into_owned()] {
            assert!(!message.contains("Hunter2Pw"), "{message}");
        }
    }
    let arguments = ["--traces-endpoint=http://h/?k=Hunter2 Pw", "x"].map(str::to_owned);
    assert_eq!(
        without_userinfo_of("invalid value 'http://h/?k=Hunter2 Pw'", &arguments),
        "invalid value 'http://h/?(query, not shown)'"
    );
    for text in [
        "pkcs11:token=t?pin-source=file:/run/pin",
        "did you mean http://127.0.0.1:4318?",
    ] {
        assert_eq!(Shown::from(text).to_string(), text);
        assert_eq!(scrub(text), text);
    }
}

proptest! {
    /// Ranges that overlap, in any order: nothing panics.
    #[test]
    fn any_mix_of_marks_can_be_shown(
        text in "(://|@|:|/|\\?|#|=|é|[a-z]{1,30}|1|`| |\n){0,20}",
    ) {
        let _shown = Shown::from(text.as_str());
        let clean = scrub(&text);
        let arguments = [text.clone()];
        prop_assert!(without_userinfo_of(&clean, &arguments).len() < 2000);
    }
}

/// From each of 60,000 places these were looked through to their ends: hours, where one pass takes a second. The bound
/// is no measurement.
#[test]
fn a_long_text_is_looked_through_once() {
    let (told, done) = std::sync::mpsc::channel();
    let texts = [
        "://",
        "x://:a ",
        "://a:b?(",
        "\"x://a@b:y/\"",
        "x://%25?#",
        "x://a@b:y",
        "x://?(query, not shown)))",
    ]
    .map(|unit| unit.repeat(400_000 / unit.len()))
    .map(|text| [format!("`{text}@`"), text]);
    let working = std::thread::spawn(move || {
        for text in texts.iter().flatten() {
            let _shown = Shown::from(text.as_str());
            drop(scrub(text));
        }
        told.send(()).unwrap();
    });
    done.recv_timeout(std::time::Duration::from_mins(1))
        .unwrap();
    working.join().unwrap();
}

#[test]
fn many_pieces_of_keys_in_one_word_are_hidden() {
    let piece = "AbC1dEf2GhI3jKl4MnO5";
    let hexadecimal = "0123456789abcdef".repeat(3);
    for (unit, secret) in [
        (format!("{piece} "), piece),
        (format!("{hexadecimal}."), hexadecimal.as_str()),
        ("AGE-SECRET-KEY-".to_owned(), "KEY-AGE"),
    ] {
        let clean = scrub(&unit.repeat(200)).into_owned();
        assert!(!clean.contains(secret), "{clean}");
    }
}
