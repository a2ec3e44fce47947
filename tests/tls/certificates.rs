//! Loading certificates: every kind of key in every form it comes in, and every way a pair of files
//! can be wrong, with the message its operator reads.

mod behind;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::support::pki::{Pair, PairFiles, TestPki};
use hybridge::certgen::Algorithm;
use hybridge::tls::credentials::{CredentialError, Credentials};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{KeyType, PKey, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use rcgen::date_time_ymd;
use tempfile::TempDir;

const ALGORITHMS: [(Algorithm, &str); 7] = [
    (Algorithm::EcdsaP256, "ECDSA P-256"),
    (Algorithm::EcdsaP384, "ECDSA P-384"),
    (Algorithm::Ed25519, "Ed25519"),
    (Algorithm::Rsa2048, "RSA-2048"),
    (Algorithm::MlDsa44, "ML-DSA-44"),
    (Algorithm::MlDsa65, "ML-DSA-65"),
    (Algorithm::MlDsa87, "ML-DSA-87"),
];

fn pki() -> TestPki {
    TestPki::new(Algorithm::EcdsaP256)
}

fn load(pair: &Pair) -> Result<Credentials, CredentialError> {
    let dir = TempDir::new().unwrap();
    let files = pair.write_to(dir.path());
    Credentials::load(&files.cert, &files.key)
}

/// The reason and the message of a pair that does not load, with the directory cut out.
fn refusal(pair: &Pair) -> (&'static str, String) {
    let dir = TempDir::new().unwrap();
    let files = pair.write_to(dir.path());
    refusal_of(&files, dir.path())
}

fn refusal_of(files: &PairFiles, dir: &Path) -> (&'static str, String) {
    let error = Credentials::load(&files.cert, &files.key).expect_err("the pair must not load");
    let message = error
        .to_string()
        .replace(&format!("{}/", dir.display()), "");
    (error.reason(), message)
}

/// A self-issued certificate for a key that OpenSSL made, and its key in the form given.
fn openssl_pair(key: &PKey<Private>, key_pem: Vec<u8>) -> Pair {
    Pair {
        cert: openssl_certificate(key, 2),
        key: String::from_utf8(key_pem).unwrap(),
    }
}

/// `version` counts from 0, as the wire does.
fn openssl_certificate(key: &PKey<Private>, version: i32) -> String {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::x509::{X509Builder, X509NameBuilder};

    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "openssl.test").unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(version).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(9).unwrap())
        .unwrap();
    builder.set_pubkey(key).unwrap();
    let digest = if signs_without_digest(key) {
        MessageDigest::null()
    } else {
        MessageDigest::sha256()
    };
    builder.sign(key, digest).unwrap();
    String::from_utf8(builder.build().to_pem().unwrap()).unwrap()
}

fn signs_without_digest(key: &PKey<Private>) -> bool {
    let kinds = [
        KeyType::ED25519,
        KeyType::ED448,
        KeyType::ML_DSA_44,
        KeyType::ML_DSA_65,
        KeyType::ML_DSA_87,
    ];
    kinds.into_iter().any(|kind| key.is_a(kind))
}

fn ec_key(curve: Nid) -> EcKey<Private> {
    EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = openssl::base64::encode_block(der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

#[test]
fn every_kind_of_key_loads_and_is_described() {
    for (algorithm, name) in ALGORITHMS {
        let credentials = load(&TestPki::new(algorithm).leaf(&["api.test", "10.0.0.7", "::1"]));
        let credentials = credentials.unwrap_or_else(|error| panic!("{name}: {error}"));
        let facts = credentials.facts();
        assert_eq!(facts.key_algorithm, name);
        assert_eq!(facts.subject, "CN=api.test");
        assert_eq!(facts.issuer, "CN=hybridge test CA");
        assert_eq!(facts.names, ["api.test", "10.0.0.7", "::1"]);
        assert_eq!(facts.not_after - facts.not_before, 25 * 3600);
        assert_eq!(facts.chain_length, 1);
        assert_eq!(credentials.certified_key().cert.len(), 1);
    }
}

#[test]
fn the_facts_are_those_that_openssl_reads() {
    let pair = pki().leaf(&["api.test"]);
    let credentials = load(&pair).unwrap();
    let facts = credentials.facts();
    let x509 = openssl::x509::X509::from_pem(pair.cert.as_bytes()).unwrap();
    let fingerprint = x509.digest(openssl::hash::MessageDigest::sha256()).unwrap();
    let hex = openssl::bn::BigNum::from_slice(&fingerprint)
        .unwrap()
        .to_hex_str()
        .unwrap();
    assert_eq!(facts.sha256, hex.to_lowercase());
    let json = serde_json::to_value(facts).unwrap();
    assert_eq!(json["names"], serde_json::json!(["api.test"]));
    assert_eq!(json["not_after"], facts.not_after);
}

#[test]
fn the_serial_number_is_written_as_openssl_writes_it() {
    for serial in [&[0x7f, 0xd7][..], &[0xd7, 0x00], &[0x0a, 0x01], &[0xff; 20]] {
        let pair = pki().leaf_numbered(&["api.test"], serial);
        let x509 = openssl::x509::X509::from_pem(pair.cert.as_bytes()).unwrap();
        let number = x509.serial_number().to_bn().unwrap();
        let written = number.to_hex_str().unwrap().to_lowercase();
        assert_eq!(load(&pair).unwrap().facts().serial, written);
    }
}

#[test]
fn elliptic_curve_keys_load_as_sec1_and_as_pkcs8() {
    let curves = [
        (Nid::X9_62_PRIME256V1, "ECDSA P-256"),
        (Nid::SECP384R1, "ECDSA P-384"),
        (Nid::SECP521R1, "ECDSA P-521"),
    ];
    for (curve, name) in curves {
        let sec1 = ec_key(curve);
        let key = PKey::from_ec_key(sec1.clone()).unwrap();
        let with_parameters = [
            pem("EC PARAMETERS", &[0x06, 0x00]).into_bytes(),
            sec1.private_key_to_pem().unwrap(),
        ]
        .concat();
        let forms = [
            sec1.private_key_to_pem().unwrap(),
            with_parameters,
            key.private_key_to_pem_pkcs8().unwrap(),
        ];
        for form in forms {
            let credentials = load(&openssl_pair(&key, form)).unwrap();
            assert_eq!(credentials.facts().key_algorithm, name);
        }
    }
}

#[test]
fn rsa_keys_load_as_pkcs1_and_as_pkcs8() {
    for bits in [2048, 3072] {
        let pkcs1 = Rsa::generate(bits).unwrap();
        let key = PKey::from_rsa(pkcs1.clone()).unwrap();
        let forms = [
            pkcs1.private_key_to_pem().unwrap(),
            key.private_key_to_pem_pkcs8().unwrap(),
        ];
        for form in forms {
            let credentials = load(&openssl_pair(&key, form)).unwrap();
            assert_eq!(credentials.facts().key_algorithm, format!("RSA-{bits}"));
        }
    }
}

#[test]
fn an_ed25519_key_of_openssl_loads() {
    let key = PKey::generate_ed25519().unwrap();
    let pair = openssl_pair(&key, key.private_key_to_pem_pkcs8().unwrap());
    assert_eq!(load(&pair).unwrap().facts().key_algorithm, "Ed25519");
}

/// Takes a DER value of tag `tag` off the front of `der`; returns its content and the rest.
fn take_der(tag: u8, der: &[u8]) -> (&[u8], &[u8]) {
    assert_eq!(der[0], tag);
    let (length, header) = match der[1] {
        short @ 0..0x80 => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7f);
            let bytes = &der[2..2 + count];
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, 2 + count)
        }
    };
    der[header..].split_at(length)
}

fn put_der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let header = match length {
        0..0x80 => vec![tag, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [header, content.to_vec()].concat()
}

/// The three private key forms of RFC 9881, section 6, out of the one that holds both.
fn ml_dsa_forms(both: &[u8]) -> [Vec<u8>; 3] {
    let (outer, _) = take_der(0x30, both);
    let (private, _) = take_der(0x04, &outer[3 + 2 + usize::from(outer[4])..]);
    let prefix = &outer[..3 + 2 + usize::from(outer[4])];
    let (choice, _) = take_der(0x30, private);
    let (seed, rest) = take_der(0x04, choice);
    let (expanded, _) = take_der(0x04, rest);
    assert_eq!(seed.len(), 32);
    let wrap = |choice: &[u8]| put_der(0x30, &[prefix, &put_der(0x04, choice)].concat());
    let forms = [
        wrap(&put_der(0x80, seed)),
        wrap(&put_der(0x04, expanded)),
        wrap(private),
    ];
    assert_eq!(forms[0].len(), 54);
    assert_eq!(forms[2], both);
    forms
}

#[test]
fn ml_dsa_keys_of_openssl_load_in_all_three_forms() {
    let kinds = [
        (KeyType::ML_DSA_44, "ML-DSA-44"),
        (KeyType::ML_DSA_65, "ML-DSA-65"),
        (KeyType::ML_DSA_87, "ML-DSA-87"),
    ];
    for (kind, name) in kinds {
        let key = PKey::private_key_from_seed(None, kind, None, &[7; 32]).unwrap();
        let both = key.private_key_to_pkcs8().unwrap();
        for form in ml_dsa_forms(&both) {
            let pair = openssl_pair(&key, pem("PRIVATE KEY", &form).into_bytes());
            let credentials = load(&pair).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(credentials.facts().key_algorithm, name);
        }
    }
}

#[test]
fn a_chain_with_its_intermediate_loads_whole() {
    let credentials = load(&pki().chain(&["api.test"])).unwrap();
    assert_eq!(credentials.facts().chain_length, 2);
    assert_eq!(credentials.certified_key().cert.len(), 2);
}

#[test]
fn text_around_blocks_windows_line_ends_and_a_byte_order_mark_do_no_harm() {
    let pair = pki().leaf(&["api.test"]);
    let decorated = format!(
        "\u{feff}subject=CN = api.test\n{}\ntrailing words",
        pair.cert
    );
    let pair = Pair {
        cert: decorated.replace('\n', "\r\n"),
        key: pair.key.replace('\n', "\r\n"),
    };
    load(&pair).unwrap();
}

#[test]
fn one_file_that_holds_both_serves_as_both() {
    let pair = pki().leaf(&["api.test"]);
    let both = format!("{}{}", pair.key, pair.cert);
    let combined = Pair {
        cert: both.clone(),
        key: both,
    };
    load(&combined).unwrap();
}

#[test]
fn no_private_key_shows_in_debug_output() {
    let pair = pki().leaf(&["api.test"]);
    let shown = format!("{:?}", load(&pair).unwrap());
    assert!(shown.contains("<private>"), "{shown}");
    for line in pair.key.lines().filter(|line| !line.starts_with("---")) {
        assert!(!shown.contains(line), "{shown}");
    }
}

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
            "certificate file tls.crt is not PEM: it looks like binary DER or PKCS#12, \
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
fn dates_are_judged_at_the_time_given() {
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
