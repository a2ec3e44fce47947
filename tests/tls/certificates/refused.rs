//! Keys and certificates that are refused.

use super::*;

const REMEDY: &str =
    "use ECDSA P-256, P-384 or P-521, RSA of 2048 to 8192 bits, Ed25519, or ML-DSA-44, -65 or -87";

#[test]
fn keys_and_certificates_of_other_algorithms_are_refused() {
    let pair = pki().leaf(&["api.test"]);
    let ed448 = PKey::generate_ed448().unwrap();
    let secp256k1 = PKey::from_ec_key(ec_key(Nid::SECP256K1)).unwrap();
    for (key, oid) in [(ed448, "1.3.101.113"), (secp256k1, "1.3.132.0.10")] {
        let key_pem = key.private_key_to_pem_pkcs8().unwrap();
        let odd_key = Pair {
            key: String::from_utf8(key_pem.clone()).unwrap(),
            ..pair.clone()
        };
        assert_eq!(
            refusal(&odd_key),
            (
                "unsupported",
                format!(
                    "private key file tls.key: PEM block 1 (line 1) is a key of the unsupported algorithm {oid}: {REMEDY}"
                )
            )
        );
        assert_eq!(
            refusal(&openssl_pair(&key, key_pem)),
            (
                "unsupported",
                format!(
                    "certificate file tls.crt: PEM block 1 (line 1) is a certificate for a key of the unsupported algorithm {oid}: {REMEDY}"
                )
            )
        );
    }
    let openssh = Pair {
        key: pem("OPENSSH PRIVATE KEY", b"openssh-key-v1"),
        ..pair
    };
    assert_eq!(
        refusal(&openssh).1,
        format!(
            "private key file tls.key: PEM block 1 (line 1) is a key in the form `OPENSSH PRIVATE KEY`: {REMEDY}"
        )
    );
}

#[test]
fn a_damaged_key_is_told_from_one_of_another_algorithm() {
    let pair = pki().leaf(&["api.test"]);
    let key = PKey::private_key_from_pem(pair.key.as_bytes()).unwrap();
    let mut der = key.private_key_to_pkcs8().unwrap();
    der.truncate(der.len() - 20);
    der[1] -= 20;
    let damaged = Pair {
        key: pem("PRIVATE KEY", &der),
        ..pair.clone()
    };
    assert_eq!(
        refusal(&damaged),
        (
            "malformed",
            "private key file tls.key: PEM block 1 (line 1) is not a well-formed ECDSA P-256 private key".to_owned()
        )
    );
    let nonsense = Pair {
        key: pem("PRIVATE KEY", b"nonsense"),
        ..pair
    };
    assert_eq!(
        refusal(&nonsense).1,
        "private key file tls.key: PEM block 1 (line 1) is not a well-formed PKCS#8, SEC1 or PKCS#1 private key"
    );
}

#[test]
fn an_rsa_key_that_is_too_short_is_refused() {
    let key = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let pair = openssl_pair(&key, key.private_key_to_pem_pkcs8().unwrap());
    assert_eq!(
        refusal(&pair),
        (
            "unsupported",
            format!(
                "certificate file tls.crt: PEM block 1 (line 1) is a certificate for an RSA key of 1024 bits: {REMEDY}"
            )
        )
    );
}

#[test]
fn a_certificate_of_version_1_is_refused() {
    let key = PKey::from_ec_key(ec_key(Nid::X9_62_PRIME256V1)).unwrap();
    let pair = Pair {
        cert: openssl_certificate(&key, 0),
        key: String::from_utf8(key.private_key_to_pem_pkcs8().unwrap()).unwrap(),
    };
    assert_eq!(
        refusal(&pair),
        (
            "unsupported",
            "certificate file tls.crt: PEM block 1 (line 1) is an X.509 version 1 certificate: have it issued as version 3".to_owned()
        )
    );
}

#[test]
fn a_key_of_another_certificate_is_refused_for_every_algorithm() {
    for (algorithm, _) in ALGORITHMS {
        let pair = TestPki::new(algorithm).mismatched(&["api.test"]);
        assert_eq!(
            refusal(&pair),
            (
                "mismatch",
                "private key file tls.key does not belong to certificate file tls.crt: the key is not that of \"CN=api.test\"".to_owned()
            )
        );
    }
}

#[test]
fn certificates_in_the_wrong_order_are_named() {
    let pki = pki();
    let pair = pki.chain(&["api.test"]);
    let second = pair.cert.rfind("-----BEGIN").unwrap();
    let (leaf, intermediate) = pair.cert.split_at(second);
    let line = intermediate.lines().count() + 1;
    let reversed = Pair {
        cert: format!("{intermediate}{leaf}"),
        ..pair.clone()
    };
    assert_eq!(
        refusal(&reversed),
        (
            "chain",
            format!(
                "certificate file tls.crt: PEM block 1 (line 1) was issued by \"CN=hybridge test CA\", but the next \
                 certificate, PEM block 2 (line {line}), is \"CN=api.test\": put the server's certificate first and \
                 after each certificate its issuer"
            )
        )
    );
    let root_before_intermediate = format!("{leaf}{}{intermediate}", pki.ca_pem());
    let (reason, message) = refusal(&Pair {
        cert: root_before_intermediate,
        ..pair
    });
    assert_eq!(reason, "chain");
    assert!(
        message
            .contains("was issued by \"CN=hybridge test intermediate\", but the next certificate"),
        "{message}"
    );
}

#[test]
fn a_chain_without_end_is_refused() {
    let pki = pki();
    let pair = pki.leaf(&["api.test"]);
    let endless = Pair {
        cert: pair.cert + &pki.ca_pem().repeat(16),
        ..pair
    };
    assert_eq!(
        refusal(&endless),
        (
            "chain",
            "certificate file tls.crt holds 17 certificates, more than the 16 a chain may have"
                .to_owned()
        )
    );
}

#[test]
fn dates_are_checked_at_the_time_given() {
    let dir = TempDir::new().unwrap();
    let (from, until) = (date_time_ymd(2030, 1, 1), date_time_ymd(2030, 4, 1));
    let files = pki()
        .leaf_valid(&["api.test"], from, until)
        .write_to(dir.path());
    let at = |seconds: i64| {
        let now = UNIX_EPOCH + Duration::from_secs(seconds as u64);
        Credentials::load_at(&files.cert, &files.key, now)
            .map_err(|error| (error.reason(), error.to_string()))
    };
    let (from, until) = (from.unix_timestamp(), until.unix_timestamp());
    assert!(at(from).is_ok());
    assert!(at(until).is_ok());
    let cert = files.cert.display();
    assert_eq!(
        at(from - 1).unwrap_err(),
        (
            "not_yet_valid",
            format!(
                "certificate file {cert}: PEM block 1 (line 1), \"CN=api.test\", is not valid before 2030-01-01T00:00:00Z; now is 2029-12-31T23:59:59Z: check the clock, or wait"
            )
        )
    );
    assert_eq!(
        at(until + 1).unwrap_err(),
        (
            "expired",
            format!(
                "certificate file {cert}: PEM block 1 (line 1), \"CN=api.test\", expired on 2030-04-01T00:00:00Z; now is 2030-04-01T00:00:01Z: renew it"
            )
        )
    );
}

#[test]
fn an_expired_or_early_pair_does_not_load() {
    assert_eq!(refusal(&pki().expired(&["api.test"])).0, "expired");
    assert_eq!(
        refusal(&pki().not_yet_valid(&["api.test"])).0,
        "not_yet_valid"
    );
}

#[test]
fn a_kubernetes_volume_is_read_from_one_generation() {
    let (pki, dir) = (pki(), TempDir::new().unwrap());
    let (old, new) = (pki.leaf(&["old.test"]), pki.leaf(&["new.test"]));
    for (generation, pair) in [("..1", &old), ("..2", &new)] {
        let generation = dir.path().join(generation);
        fs::create_dir(&generation).unwrap();
        pair.write_to(&generation);
    }
    symlink("..2", dir.path().join("..data")).unwrap();
    // The certificate's own link leads to the old generation: only `..data` may decide.
    symlink("..1/tls.crt", dir.path().join("tls.crt")).unwrap();
    symlink("..data/tls.key", dir.path().join("tls.key")).unwrap();
    let credentials = Credentials::load(&dir.path().join("tls.crt"), &dir.path().join("tls.key"));
    assert_eq!(credentials.unwrap().facts().subject, "CN=new.test");
}
