//! Files that cannot be read, or that hold something else.

use super::*;

#[test]
fn a_missing_file_is_named() {
    let dir = TempDir::new().unwrap();
    let files = pki().leaf(&["api.test"]).write_to(dir.path());
    fs::remove_file(&files.key).unwrap();
    let expected = (
        "missing",
        "private key file tls.key does not exist".to_owned(),
    );
    assert_eq!(refusal_of(&files, dir.path()), expected);
    fs::remove_file(&files.cert).unwrap();
    let expected = (
        "missing",
        "certificate file tls.crt does not exist".to_owned(),
    );
    assert_eq!(refusal_of(&files, dir.path()), expected);
}

#[test]
fn what_is_no_file_is_not_read() {
    let dir = TempDir::new().unwrap();
    let files = pki().leaf(&["api.test"]).write_to(dir.path());
    fs::remove_file(&files.cert).unwrap();
    fs::create_dir(&files.cert).unwrap();
    let (reason, message) = refusal_of(&files, dir.path());
    assert_eq!(reason, "unreadable");
    assert_eq!(
        message,
        "certificate file tls.crt cannot be read: it is a directory"
    );
    fs::remove_dir(&files.cert).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&files.cert).unwrap();
    let (_, message) = refusal_of(&files, dir.path());
    assert_eq!(
        message,
        "certificate file tls.crt cannot be read: it is not a regular file"
    );
}

#[test]
fn a_file_without_permission_is_unreadable() {
    let dir = TempDir::new().unwrap();
    let files = pki().leaf(&["api.test"]).write_to(dir.path());
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&files.key).is_ok() {
        eprintln!("skipped: this user (root?) may read every file");
        return;
    }
    let (reason, message) = refusal_of(&files, dir.path());
    assert_eq!(reason, "unreadable");
    assert_eq!(
        message,
        "private key file tls.key cannot be read: Permission denied (os error 13)"
    );
}

#[test]
fn an_empty_file_is_named() {
    let good = pki().leaf(&["api.test"]);
    for blank in ["", " \n\n"] {
        let pair = Pair {
            key: blank.to_owned(),
            ..good.clone()
        };
        assert_eq!(
            refusal(&pair),
            ("empty", "private key file tls.key is empty".to_owned())
        );
        let pair = Pair {
            cert: blank.to_owned(),
            ..good.clone()
        };
        assert_eq!(
            refusal(&pair),
            ("empty", "certificate file tls.crt is empty".to_owned())
        );
    }
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let pair = pki().leaf(&["api.test"]);
    let padding = "# padding\n".repeat(110_000);
    let (reason, message) = refusal(&Pair {
        cert: padding + &pair.cert,
        ..pair
    });
    assert_eq!(reason, "too_large");
    assert_eq!(
        message,
        "certificate file tls.crt is larger than 1048576 bytes: is it the right file?"
    );
}

#[test]
fn a_file_that_is_not_pem_is_told_from_a_binary_one() {
    let pair = pki().leaf(&["api.test"]);
    let words = Pair {
        cert: "not a certificate\n".to_owned(),
        ..pair.clone()
    };
    assert_eq!(
        refusal(&words),
        (
            "malformed",
            "certificate file tls.crt is not PEM: there is no `-----BEGIN …-----` line in it"
                .to_owned()
        )
    );
    let dir = TempDir::new().unwrap();
    let files = pair.write_to(dir.path());
    let der = openssl::x509::X509::from_pem(pair.cert.as_bytes())
        .unwrap()
        .to_der()
        .unwrap();
    fs::write(&files.cert, der).unwrap();
    assert_eq!(
        refusal_of(&files, dir.path()),
        (
            "malformed",
            "certificate file tls.crt: it looks like binary DER or PKCS#12, \
             convert it to PEM with `openssl x509`, `pkey` or `pkcs12`"
                .to_owned()
        )
    );
}

#[test]
fn a_damaged_block_is_named_by_number_and_line() {
    let pair = pki().chain(&["api.test"]);
    let lines: Vec<&str> = pair.cert.lines().collect();
    let second = lines
        .iter()
        .rposition(|line| line.starts_with("-----BEGIN"))
        .unwrap();
    let with = |index: usize, line: &str| {
        let mut lines = lines.clone();
        lines[index] = line;
        Pair {
            cert: lines.join("\n"),
            ..pair.clone()
        }
    };
    let (at, next) = (second + 1, second + 2);
    let cases = [
        (
            with(second + 1, "MIIB*not/base64"),
            format!("PEM block 2 (line {at}): line {next} holds a character that is not base64"),
        ),
        (
            with(second + 1, "MIIBa"),
            format!("PEM block 2 (line {at}): its base64 does not decode, a line is missing or cut short"),
        ),
        (
            with(second, "-----BEGIN CERTIFICATE----"),
            format!("line {at} is not a well-formed `-----BEGIN …-----` line"),
        ),
        (with(second, ""), format!("line {} ends a block that was never begun", lines.len())),
        (
            with(lines.len() - 1, "-----END PRIVATE KEY-----"),
            format!("PEM block 2 (line {at}) begins `CERTIFICATE`, but line {} ends something else", lines.len()),
        ),
        (
            with(lines.len() - 1, ""),
            format!("PEM block 2 (line {at}) has no `-----END CERTIFICATE-----` line: the file is cut short or two blocks ran together"),
        ),
        (
            with(second - 1, ""),
            "PEM block 1 (line 1) has no `-----END CERTIFICATE-----` line: the file is cut short or two blocks ran together".to_owned(),
        ),
    ];
    for (pair, place) in cases {
        let expected = format!("certificate file tls.crt: {place}");
        assert_eq!(refusal(&pair), ("malformed", expected));
    }
}

#[test]
fn a_block_that_is_no_certificate_is_named() {
    let pair = pki().leaf(&["api.test"]);
    let second_block = pair.cert.lines().count() + 1;
    let garbage = Pair {
        cert: pair.cert.clone() + &pem("CERTIFICATE", b"\x30\x03\x02\x01\x05"),
        ..pair.clone()
    };
    let (reason, message) = refusal(&garbage);
    assert_eq!(reason, "malformed");
    let start = format!(
        "certificate file tls.crt: PEM block 2 (line {second_block}) is not a well-formed X.509 certificate: "
    );
    assert!(message.starts_with(&start), "{message}");

    let mut der = openssl::x509::X509::from_pem(pair.cert.as_bytes())
        .unwrap()
        .to_der()
        .unwrap();
    der.extend([0, 0]);
    let trailing = Pair {
        cert: pem("CERTIFICATE", &der),
        ..pair
    };
    assert_eq!(
        refusal(&trailing).1,
        "certificate file tls.crt: PEM block 1 (line 1) is not a well-formed X.509 certificate: 2 bytes follow it"
    );
}

#[test]
fn swapped_files_are_recognised() {
    let pair = pki().leaf(&["api.test"]);
    let swapped = Pair {
        cert: pair.key.clone(),
        key: pair.cert.clone(),
    };
    assert_eq!(
        refusal(&swapped),
        (
            "swapped",
            "certificate file tls.crt holds a private key and no certificate: are the certificate and key paths swapped?".to_owned()
        )
    );
    let certificate_twice = Pair {
        key: pair.cert.clone(),
        ..pair
    };
    assert_eq!(
        refusal(&certificate_twice),
        (
            "swapped",
            "private key file tls.key holds a certificate and no private key: are the certificate and key paths swapped?".to_owned()
        )
    );
}

#[test]
fn blocks_of_another_kind_are_listed() {
    let pair = pki().leaf(&["api.test"]);
    let request = pem("CERTIFICATE REQUEST", b"0");
    assert_eq!(
        refusal(&Pair {
            cert: request,
            ..pair.clone()
        }),
        (
            "malformed",
            "certificate file tls.crt holds no CERTIFICATE block, only CERTIFICATE REQUEST"
                .to_owned()
        )
    );
    assert_eq!(
        refusal(&Pair {
            key: pem("PUBLIC KEY", b"0"),
            ..pair
        }),
        (
            "malformed",
            "private key file tls.key holds no private key this build can use, only PUBLIC KEY"
                .to_owned()
        )
    );
}

#[test]
fn an_encrypted_key_is_refused_with_the_remedy() {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let pkcs8 = key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret")
        .unwrap();
    let traditional = key
        .rsa()
        .unwrap()
        .private_key_to_pem_passphrase(Cipher::aes_128_cbc(), b"secret")
        .unwrap();
    for form in [pkcs8, traditional] {
        assert_eq!(
            refusal(&openssl_pair(&key, form)),
            (
                "unsupported",
                "private key file tls.key: PEM block 1 (line 1) is encrypted with a passphrase and there is nobody \
                 to ask for it: store it unencrypted (`openssl pkey -in FILE -out tls.key`, mode 0600)".to_owned()
            )
        );
    }
}

#[test]
fn several_keys_in_one_file_are_refused() {
    let pair = pki().leaf(&["api.test"]);
    let lines = pair.key.lines().count() + 1;
    let twice = Pair {
        key: pair.key.repeat(2),
        ..pair
    };
    assert_eq!(
        refusal(&twice),
        (
            "malformed",
            format!(
                "private key file tls.key holds 2 private keys (lines 1, {lines}): keep the one that belongs to the certificate"
            )
        )
    );
}

/// Kubernetes decides the modes in its volumes, which a unit test of `secret_file` looks at.
#[test]
fn a_key_that_others_can_reach_is_told_or_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let files = pki().leaf(&["api.test"]).write_to(dir.path());
    let mode = |mode| fs::set_permissions(&files.key, PermissionsExt::from_mode(mode)).unwrap();
    let warnings = || {
        let pair = Credentials::load(&files.cert, &files.key).unwrap();
        let warnings = pair.warnings().iter().map(ToString::to_string);
        warnings.collect::<Vec<_>>().join("\n")
    };
    let key = files.key.display();
    for good in [0o600, 0o400, 0o640] {
        mode(good);
        assert_eq!(warnings(), "", "{good:04o}");
    }
    mode(0o644);
    assert_eq!(
        warnings(),
        format!(
            "private key file {key}: everybody on this machine may read it (mode 0644): `chmod 600`, or 640 for a group"
        )
    );
    mode(0o660);
    assert_eq!(
        warnings(),
        format!("private key file {key}: its group may write it (mode 0660): `chmod 640`, or 600")
    );
    mode(0o666);
    assert_eq!(
        refusal_of(&files, dir.path()),
        (
            "permissions",
            "private key file tls.key may be written by everybody (mode 0666), who could replace it: `chmod 600`, or 640 for a group".to_owned()
        )
    );
}
