//! Loading certificates: every kind of key in every form it comes in, and every way a pair of files
//! can be wrong, with the message its operator reads.

mod behind;
mod files;
mod refused;
mod way;

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
