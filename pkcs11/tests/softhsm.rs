//! Keys in SoftHSM: handshakes with each kind, what goes wrong, and what comes back by itself.
//!
//! A module is once in a process and reads its configuration from the environment, so each test runs in
//! a process of its own. Needs the Debian package softhsm2; where CI is set its absence is a failure.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::panic)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hybridge_pkcs11::{Error, Key, Kind, Uri};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use support::handshake;

const PIN: &str = "secret-pin-4711";
const MODULES: [&str; 2] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
];

/// A SoftHSM for this test, below a directory of its own.
struct Hsm(PathBuf);

impl Hsm {
    fn tool(arguments: &[&str]) {
        let output = Command::new("softhsm2-util")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn new_token(label: &str) {
        let free = [
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            PIN,
            "--so-pin",
            "12345678",
        ];
        Self::tool(&free);
    }

    fn import(&self, label: &str, id: &str, pkcs8: &str) {
        let file = self.0.join(format!("{label}-{id}.pem"));
        fs::write(&file, pkcs8).unwrap();
        let file = file.to_str().unwrap();
        Self::tool(&[
            "--import", file, "--token", "tests", "--label", label, "--id", id, "--pin", PIN,
        ]);
    }

    fn uri_with_pin(&self, object: &str, pin: &str) -> Uri {
        let file = self.0.join("pin");
        fs::write(&file, format!("{pin}\n")).unwrap();
        let (module, file) = (module().unwrap(), file.display());
        format!("pkcs11:token=tests;{object}?module-path={module}&pin-source=file:{file}")
            .parse()
            .unwrap()
    }

    fn uri(&self, object: &str) -> Uri {
        self.uri_with_pin(object, PIN)
    }

    fn tokens(&self) -> PathBuf {
        self.0.join("tokens")
    }
}

fn module() -> Option<&'static str> {
    MODULES.into_iter().find(|path| Path::new(path).exists())
}

/// Runs the body in a process of its own, with a token `tests`.
fn with_hsm(test: &str, body: impl FnOnce(&Hsm)) {
    if let Some(directory) = std::env::var_os("HYBRIDGE_TEST_HSM") {
        let hsm = Hsm(directory.into());
        Hsm::new_token("tests");
        return body(&hsm);
    }
    if module().is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "SoftHSM is missing: install softhsm2"
        );
        eprintln!("SKIPPED: {test}: SoftHSM is not installed (Debian package softhsm2)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let config = directory.path().join("softhsm2.conf");
    fs::write(
        &config,
        format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        ),
    )
    .unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("HYBRIDGE_TEST_HSM", directory.path())
        .env("SOFTHSM2_CONF", &config)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "{text}");
    assert!(!text.contains(PIN), "{text}");
}

/// A self-signed certificate, and its key for the token.
fn pair(algorithm: &'static SignatureAlgorithm) -> (CertificateDer<'static>, String) {
    pair_of(&KeyPair::generate_for(algorithm).unwrap())
}

fn pair_of(key: &KeyPair) -> (CertificateDer<'static>, String) {
    let names = vec!["hsm.test".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(key)
        .unwrap();
    (certificate.der().clone(), key.serialize_pem())
}

fn made_by_openssl(
    hsm: &Hsm,
    options: &[&str],
    algorithm: &'static SignatureAlgorithm,
) -> (CertificateDer<'static>, String) {
    let pem = hsm.0.join("made");
    let mut openssl = Command::new("openssl");
    let openssl = openssl.arg("genpkey").args(options).arg("-out").arg(&pem);
    let made = openssl.output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let der = PrivateKeyDer::from_pem_file(&pem).unwrap();
    let key = KeyPair::from_der_and_sign_algo(&der, algorithm).unwrap();
    (pair_of(&key).0, fs::read_to_string(&pem).unwrap())
}

#[test]
fn each_kind_serves_a_handshake() {
    with_hsm("each_kind_serves_a_handshake", |hsm| {
        for (id, kind, algorithm) in [
            ("01", Kind::P256, &PKCS_ECDSA_P256_SHA256),
            ("02", Kind::P384, &rcgen::PKCS_ECDSA_P384_SHA384),
            ("03", Kind::Ed25519, &rcgen::PKCS_ED25519),
        ] {
            // SoftHSM takes PKCS#8 of version 1, which rcgen does not write for Ed25519.
            let (certificate, pkcs8) = match kind {
                Kind::Ed25519 => made_by_openssl(hsm, &["-algorithm", "ed25519"], algorithm),
                _ => pair(algorithm),
            };
            hsm.import("key", id, &pkcs8);
            let key = Key::open(&hsm.uri(&format!("object=key;id=%{id}")), kind).unwrap();
            for _ in 0..3 {
                handshake(&key, &certificate).unwrap();
            }
        }
    });
}

#[test]
fn rsa_signs_by_pss_with_each_hash() {
    with_hsm("rsa_signs_by_pss_with_each_hash", |hsm| {
        let options = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
        let (certificate, pem) = made_by_openssl(hsm, &options, &rcgen::PKCS_RSA_SHA256);
        hsm.import("rsa", "01", &pem);
        let key = Key::open(&hsm.uri("object=rsa"), Kind::Rsa).unwrap();
        handshake(&key, &certificate).unwrap();
        for scheme in [
            rustls::SignatureScheme::RSA_PSS_SHA256,
            rustls::SignatureScheme::RSA_PSS_SHA384,
            rustls::SignatureScheme::RSA_PSS_SHA512,
        ] {
            let signer = key.signing_key().choose_scheme(&[scheme]).unwrap();
            assert_eq!(signer.sign(b"message").unwrap().len(), 256, "{scheme:?}");
        }
        let pkcs1 = rustls::SignatureScheme::RSA_PKCS1_SHA256;
        assert!(key.signing_key().choose_scheme(&[pkcs1]).is_none());
    });
}

#[test]
fn many_threads_sign_at_once() {
    with_hsm("many_threads_sign_at_once", |hsm| {
        let (certificate, pkcs8) = pair(&PKCS_ECDSA_P256_SHA256);
        hsm.import("key", "01", &pkcs8);
        let key = Key::open(&hsm.uri("object=key"), Kind::P256).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| (0..20).for_each(|_| handshake(&key, &certificate).unwrap()));
            }
        });
    });
}

/// A token locks itself after a few wrong PINs.
#[test]
fn a_wrong_pin_is_tried_once() {
    with_hsm("a_wrong_pin_is_tried_once", |hsm| {
        let (certificate, pkcs8) = pair(&PKCS_ECDSA_P256_SHA256);
        hsm.import("key", "01", &pkcs8);
        let wrong = hsm.uri_with_pin("object=key", "another-pin");
        for _ in 0..20 {
            let error = Key::open(&wrong, Kind::P256).unwrap_err();
            assert!(matches!(error, Error::PinRefused { .. }), "{error}");
            assert!(!error.to_string().contains("another-pin"));
        }
        let key = Key::open(&hsm.uri("object=key"), Kind::P256).unwrap();
        handshake(&key, &certificate).unwrap();
    });
}

#[test]
fn what_does_not_fit_is_named() {
    with_hsm("what_does_not_fit_is_named", |hsm| {
        let (_, pkcs8) = pair(&PKCS_ECDSA_P256_SHA256);
        let (_, other) = pair(&PKCS_ECDSA_P256_SHA256);
        hsm.import("twice", "01", &pkcs8);
        hsm.import("twice", "02", &other);
        let (no_key, several) = (hsm.uri("object=nobody"), hsm.uri("object=twice"));
        let error = Key::open(&no_key, Kind::P256).unwrap_err();
        assert!(matches!(error, Error::NoKey { .. }), "{error}");
        let error = Key::open(&several, Kind::P256).unwrap_err();
        assert!(
            matches!(error, Error::SeveralKeys { count: 2, .. }),
            "{error}"
        );
        let error = Key::open(&hsm.uri("object=twice;id=%01"), Kind::Rsa).unwrap_err();
        assert!(
            matches!(error, Error::WrongKind { wanted: "RSA", .. }),
            "{error}"
        );
        let text = hsm.uri("object=twice").to_string();
        let elsewhere: Uri = text.replace("token=tests", "token=none").parse().unwrap();
        let error = Key::open(&elsewhere, Kind::P256).unwrap_err();
        assert!(
            error.to_string().contains("the module shows `tests`"),
            "{error}"
        );
        let without: Uri = text.split("&pin").next().unwrap().parse().unwrap();
        let error = Key::open(&without, Kind::P256).unwrap_err();
        // Logged in by a call before, or not: SoftHSM shows private keys to those who are.
        assert!(
            matches!(error, Error::PinMissing { .. } | Error::SeveralKeys { .. }),
            "{error}"
        );
        let missing: Uri = text.replace("libsofthsm2.so", "none.so").parse().unwrap();
        let error = Key::open(&missing, Kind::P256).unwrap_err();
        assert!(matches!(error, Error::Load { .. }), "{error}");
    });
}

/// ML-DSA came with PKCS#11 3.2, which SoftHSM 2.6 is not of.
#[test]
fn a_token_without_the_mechanism_is_refused_at_once() {
    with_hsm("a_token_without_the_mechanism_is_refused_at_once", |hsm| {
        let (_, pkcs8) = pair(&PKCS_ECDSA_P256_SHA256);
        hsm.import("key", "01", &pkcs8);
        let error = Key::open(&hsm.uri("object=key"), Kind::MlDsa65).unwrap_err();
        assert!(
            matches!(error, Error::WrongKind { .. } | Error::NoMechanism { .. }),
            "{error}"
        );
    });
}

#[test]
fn a_token_that_was_away_signs_again() {
    with_hsm("a_token_that_was_away_signs_again", |hsm| {
        let (certificate, pkcs8) = pair(&PKCS_ECDSA_P256_SHA256);
        hsm.import("key", "01", &pkcs8);
        let key = Key::open(&hsm.uri("object=key"), Kind::P256).unwrap();
        handshake(&key, &certificate).unwrap();
        let away = hsm.0.join("away");
        fs::rename(hsm.tokens(), &away).unwrap();
        fs::create_dir(hsm.tokens()).unwrap();
        let gone = until(|| handshake(&key, &certificate).is_err());
        assert!(gone, "the key signs although its token is gone");
        let failure = key.failure().unwrap();
        assert!(!failure.to_string().contains(PIN), "{failure}");
        fs::remove_dir(hsm.tokens()).unwrap();
        fs::rename(&away, hsm.tokens()).unwrap();
        assert!(until(|| key.try_again().is_ok()), "{:?}", key.failure());
        assert!(key.failure().is_none());
        handshake(&key, &certificate).unwrap();
    });
}

/// A start voids the sessions of every key, and each handshake with the key that is gone asks for one.
#[test]
fn a_key_that_is_gone_does_not_disturb_another() {
    with_hsm("a_key_that_is_gone_does_not_disturb_another", |hsm| {
        let (certificate, pkcs8) = pair(&PKCS_ECDSA_P256_SHA256);
        hsm.import("key", "01", &pkcs8);
        Hsm::new_token("other");
        let file = hsm.0.join("key-01.pem");
        let file = file.to_str().unwrap();
        Hsm::tool(&[
            "--import", file, "--token", "other", "--label", "key", "--id", "02", "--pin", PIN,
        ]);
        let stays = Key::open(&hsm.uri("object=key"), Kind::P256).unwrap();
        let other = hsm
            .uri("object=key")
            .to_string()
            .replacen("token=tests", "token=other", 1);
        let goes = Key::open(&other.parse().unwrap(), Kind::P256).unwrap();
        Hsm::tool(&["--delete-token", "--token", "other"]);
        assert!(
            until(|| handshake(&goes, &certificate).is_err()),
            "it signs although it is gone"
        );
        let before = stays.restarts();
        for _ in 0..40 {
            assert!(handshake(&goes, &certificate).is_err());
            handshake(&stays, &certificate).unwrap();
        }
        // After one, two and four seconds, and so on: not one for each of the forty.
        let restarts = stays.restarts() - before;
        assert!(restarts < 10, "{restarts} of 40");
    });
}

/// Within a deadline that only a fault misses.
fn until(mut holds: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(90) {
        if holds() {
            return true;
        }
        sleep(Duration::from_millis(50));
    }
    false
}
