//! Recipients and identities: which are refused, where they may come from, and that none is shown.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use super::Stage;

#[test]
fn recipients_that_do_not_protect_are_refused() {
    let stage = Stage::new();
    let classical = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    stage.write("mixed.txt", format!("# team\n{classical}\n").as_bytes());
    stage.write("empty.txt", b"# nobody\n");
    stage.write("cut.txt", b"age1pq1qqqq\n");
    let cases = [
        (format!("-r {classical}"), "-r: a classical recipient"),
        (
            "-r mixed.txt".to_owned(),
            "mixed.txt, line 2: a classical recipient",
        ),
        (
            "-r age1tagpq1qqqq".to_owned(),
            "-r: a recipient of a kind for which nothing is sealed here: use one that begins with age1pq1",
        ),
        (
            "-r age1plugin1qqqq".to_owned(),
            "-r: a recipient of a kind for which nothing is sealed here",
        ),
        ("-r age1tag1qqqq".to_owned(), "-r: a classical recipient"),
        (
            "-r age1yubikey1qqqq".to_owned(),
            "-r: a classical recipient",
        ),
        ("-r empty.txt".to_owned(), "empty.txt: no recipient in it"),
        (
            "-r cut.txt".to_owned(),
            "cut.txt, line 1: no recipient: one begins with age1pq1",
        ),
        (
            "-r id/identity.txt".to_owned(),
            "an identity, which is secret, where a recipient is wanted",
        ),
    ];
    for (recipient, says) in cases {
        stage.refused(&format!("seal model/config.json out {recipient}"), 64, says);
    }
    stage.refused(
        "seal model/config.json out",
        64,
        "--recipient <RECIPIENT|FILE>",
    );
    stage.refused(
        "seal model/config.json out -r missing.txt",
        1,
        "cannot read missing.txt",
    );
    let text = fs::read_to_string(stage.path("id/recipient.txt")).unwrap();
    stage.ok(&format!(
        "seal model/config.json as-text.age -r {}",
        text.trim()
    ));
}

#[test]
fn an_identity_that_others_can_read_is_refused() {
    let stage = Stage::new();
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    let mode = |name: &str, mode| {
        fs::set_permissions(stage.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(
        fs::metadata(stage.path("id/identity.txt"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(stage.path("sign/mldsa.key"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    mode("id/identity.txt", 0o640);
    let open = "open c.age out -i id/identity.txt --unsafe-unsigned";
    stage.refused(
        open,
        1,
        "id/identity.txt: a secret that others can read (mode 0640): `chmod 0600 id/identity.txt`",
    );
    // What is no secret may be readable: the wrong file is the mistake.
    stage.refused(
        "open c.age out -i id/recipient.txt --unsafe-unsigned",
        1,
        "id/recipient.txt, line 1: no identity: one begins with AGE-SECRET-KEY-PQ-1",
    );
    stage.refused(
        "sign model --key sign/ec.pub --pq-key sign/mldsa.key",
        1,
        "sign/ec.pub: no ECDSA private key in PEM",
    );
    mode("id/identity.txt", 0o400);
    stage.ok("open c.age c -i id/identity.txt --unsafe-unsigned");
    mode("sign/ec.key", 0o644);
    stage.refused(
        "seal model out -r id/recipient.txt --sign-with sign",
        1,
        "sign/ec.key: a secret that others can read",
    );
}

/// As files are that were kept since age had only one kind.
#[test]
fn a_classical_identity_beside_others_opens_nothing_and_harms_nothing() {
    let stage = Stage::new();
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    let own = fs::read_to_string(stage.path("id/identity.txt")).unwrap();
    let classical =
        "AGE-SECRET-KEY-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSGRRZ8C\n".to_owned();
    for (name, text) in [
        ("mixed.txt", classical.clone() + &own),
        ("only.txt", format!("# old\n{classical}")),
        ("other.txt", own + "AGE-SECRET-KEY-X25519\n"),
    ] {
        stage.write(name, text.as_bytes());
        fs::set_permissions(stage.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    stage.ok("open c.age c -i mixed.txt --unsafe-unsigned");
    assert_eq!(stage.read("c"), stage.read("model/config.json"));
    let open = "open c.age out --unsafe-unsigned -i";
    stage.refused(
        &format!("{open} only.txt"),
        1,
        "only.txt, line 2: a classical identity",
    );
    stage.refused(
        &format!("{open} other.txt"),
        1,
        ": no identity: one begins with",
    );
}

/// Who can write it can name whom a model is sealed for, or trusted from.
#[test]
fn a_public_key_that_everybody_may_write_is_refused() {
    let stage = Stage::new();
    stage.ok("seal model sealed -r id/recipient.txt --sign-with sign");
    stage.ok("sign model --key sign/ec.key --pq-key sign/mldsa.key");
    let verify = "verify model --public-key sign/ec.pub --pq-public-key sign/mldsa.pub";
    let open = "open sealed out -i id/identity.txt --verify-with sign";
    let seal = "seal model/config.json out -r id/recipient.txt";
    for (name, lines) in [
        ("sign/ec.pub", &[verify, open][..]),
        ("sign/mldsa.pub", &[verify, open]),
        ("id/recipient.txt", &[seal]),
    ] {
        let mode = |mode| {
            fs::set_permissions(stage.path(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o646);
        for line in lines {
            let says = format!("{name}: may be written by everybody (mode 0646)");
            stage.refused(line, 1, &says);
        }
        mode(0o664);
    }
    stage.ok(verify);
    stage.ok(open);
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
}

#[test]
fn an_identity_is_never_an_argument_and_never_shown() {
    let stage = Stage::new();
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    let text = fs::read_to_string(stage.path("id/identity.txt")).unwrap();
    let secret = text
        .lines()
        .find(|line| line.starts_with("AGE-SECRET"))
        .unwrap();
    for line in [
        format!("open c.age out --unsafe-unsigned -i {secret}"),
        format!("seal model out -r {secret}"),
        format!("inspect {secret}"),
        "seal model out -r AGE-SECRET-KEY-PQ-1ABC".to_owned(),
        "open c.age out --unsafe-unsigned -i age-secret-key-pq-1abc".to_owned(),
    ] {
        let ran = stage.run(&line);
        assert_eq!(ran.code, 64, "{}", ran.err);
        let said = ran.err.to_ascii_uppercase();
        assert!(!said.contains("AGE-SECRET-KEY-PQ-1"), "{said}");
        assert!(ran.err.contains("an age identity was given"), "{}", ran.err);
    }
    stage.write(
        "damaged.txt",
        secret.replace("KEY-PQ-1", "KEY-PQ-1Q").as_bytes(),
    );
    fs::set_permissions(stage.path("damaged.txt"), fs::Permissions::from_mode(0o600)).unwrap();
    let open = "open c.age out --unsafe-unsigned -i damaged.txt";
    stage.refused(
        open,
        1,
        "damaged.txt, line 1: a damaged identity: its checksum is wrong",
    );
    assert!(!stage.run(open).err.contains(&secret[20..]));
}

/// Answers one request and returns it.
fn server(answer: Vec<u8>) -> (u16, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
            request.push(byte[0]);
        }
        stream.write_all(&answer).unwrap();
        String::from_utf8(request).unwrap()
    });
    (port, thread)
}

#[test]
fn an_identity_comes_from_a_loopback_url() {
    let stage = Stage::new();
    stage.ok("seal model/config.json c.age -r id/recipient.txt");
    let identity = stage.read("id/identity.txt");
    let head = format!(
        "HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n",
        identity.len()
    );
    let (port, thread) = server([head.as_bytes(), &identity].concat());
    let url = format!("http://127.0.0.1:{port}/cdh/resource/default/key/model");
    stage.ok(&format!("open c.age c -i {url} --unsafe-unsigned"));
    let request = thread.join().unwrap();
    assert!(
        request.starts_with("GET /cdh/resource/default/key/model HTTP/1.0\r\n"),
        "{request}"
    );
    for (answer, says) in [
        (
            &b"HTTP/1.0 403 Forbidden\r\n\r\n"[..],
            "gave no identity: status 403",
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\nno key",
            "the answer of the loopback URL, line 1: no identity",
        ),
        (b"SSH-2.0-x\r\n", "gave no identity: no HTTP response"),
    ] {
        let (port, thread) = server(answer.to_vec());
        let line = format!("open c.age out -i http://127.0.0.1:{port}/x --unsafe-unsigned");
        stage.refused(&line, 1, says);
        thread.join().unwrap();
    }
    for url in [
        "http://192.0.2.1/key",
        "http://example.com/key",
        "https://127.0.0.1/key",
        "http://127.0.0.1.example/",
    ] {
        let line = format!("open c.age out -i {url} --unsafe-unsigned");
        stage.refused(&line, 64, "an identity is fetched from this machine only");
    }
}

/// Some editors of Windows begin a file with one, and no editor shows it.
#[test]
fn a_byte_order_mark_before_a_recipient_or_an_identity_is_passed_over() {
    let stage = Stage::new();
    let content = |name: &str| {
        let text = String::from_utf8(stage.read(name)).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        ["\u{feff}", &lines.collect::<Vec<_>>().join("\n")].concat()
    };
    stage.write("bom.rec", content("id/recipient.txt").as_bytes());
    stage.write("bom.id", content("id/identity.txt").as_bytes());
    let ours = PermissionsExt::from_mode(0o600);
    fs::set_permissions(stage.path("bom.id"), ours).unwrap();
    stage.ok("seal model/config.json c.age -r bom.rec");
    stage.ok("open c.age out -i bom.id --unsafe-unsigned");
    assert_eq!(stage.read("out"), stage.read("model/config.json"));
}
