//! The program with a key in SoftHSM: built with the feature `pkcs11`, which `.ci/run` does only for this.
//! What tokens do and what goes wrong with them is in `pkcs11/tests/softhsm.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]

#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use hybridge::certgen::Algorithm;
use openssl::pkey::{Id, PKey};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

use support::openssl::Client;
use support::pki::{Pair, TestPki};
use support::process::Process;
use support::{Setup, answering, eventually};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const PIN: &str = "secret-pin-4711";
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const FAILED: &str = "hybridge_handshake_failures_total";
const INTERNAL_ERROR: u8 = 80;

/// A SoftHSM with one token and one key in it.
struct Hsm {
    dir: TempDir,
}

impl Hsm {
    /// Nothing where SoftHSM is not installed; where CI is set that is a failure.
    fn with(key: &str) -> Option<Self> {
        if !Path::new(MODULE).exists() {
            assert!(
                std::env::var_os("CI").is_none(),
                "SoftHSM is missing: install softhsm2"
            );
            eprintln!(
                "SKIPPED: keys in a token: SoftHSM is not installed (Debian package softhsm2)"
            );
            return None;
        }
        let hsm = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(hsm.path("tokens")).unwrap();
        let tokens = hsm.path("tokens");
        let config = format!(
            "directories.tokendir = {}\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(hsm.path("softhsm2.conf"), config).unwrap();
        fs::write(hsm.path("key.pem"), key).unwrap();
        hsm.set_pin(PIN);
        hsm.tool(&[
            "--init-token",
            "--free",
            "--label",
            "tests",
            "--so-pin",
            "12345678",
            "--pin",
            PIN,
        ]);
        let file = hsm.path("key.pem");
        let file = file.to_str().unwrap();
        hsm.tool(&[
            "--import", file, "--token", "tests", "--label", "tls", "--id", "01", "--pin", PIN,
        ]);
        fs::remove_file(file).unwrap();
        Some(hsm)
    }

    fn set_pin(&self, pin: &str) {
        fs::write(self.path("pin"), pin).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn variable(&self) -> String {
        format!("SOFTHSM2_CONF={}", self.path("softhsm2.conf").display())
    }

    fn tool(&self, arguments: &[&str]) {
        let mut tool = Command::new("env");
        let tool = tool
            .arg(self.variable())
            .arg("softhsm2-util")
            .args(arguments);
        let output = tool.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn uri(&self) -> String {
        let pin = self.path("pin");
        format!(
            "pkcs11:token=tests;object=tls?module-path={MODULE}&pin-source=file:{}",
            pin.display()
        )
    }

    /// The program in front of an upstream, with this certificate.
    async fn start(&self, pki: TestPki, leaf: &Pair) -> Result<Process, String> {
        let cert = self.path("tls.crt");
        fs::write(&cert, &leaf.cert).unwrap();
        let settings = format!(
            "cert = \"{}\"\nkey = \"{}\"\ntickets = 0",
            cert.display(),
            self.uri()
        );
        let setup = Setup::in_front_of(answering(ANSWER).await)
            .without_files()
            .tls(&settings);
        let variable = self.variable();
        let wrapper = ["unshare", "--fork", "--kill-child", "env", &variable];
        Process::start_with(&setup, pki, leaf, &wrapper).await
    }

    /// What `hybridge check` says with this certificate and the key of this URI.
    fn check(&self, leaf: &Pair, uri: &str) -> (Option<i32>, String) {
        let cert = self.path("tls.crt");
        fs::write(&cert, &leaf.cert).unwrap();
        let mut check = Command::new("env");
        let check = check
            .arg(self.variable())
            .arg(env!("CARGO_BIN_EXE_hybridge"));
        let check = check.args([
            "check",
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "127.0.0.1:9",
        ]);
        let output = check.arg("--cert").arg(&cert).args(["--key", uri]).output();
        let output = output.unwrap();
        let said =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains(PIN), "{said}");
        (output.status.code(), said)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_goes_away_and_comes_back_needs_no_restart() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let leaf = pki.leaf(&["localhost", "127.0.0.1"]);
    let Some(hsm) = Hsm::with(&leaf.key) else {
        return;
    };
    let sidecar = hsm.start(pki, &leaf).await.unwrap();
    let client = Client::new().trusting(&sidecar.ca);
    for _ in 0..4 {
        client.connect(sidecar.address).await.unwrap();
    }
    assert_eq!(sidecar.admin("/readyz").await.0, 200);
    // What SoftHSM has and cryptoki does not know is no error.
    let log = sidecar.log();
    assert!(!log.contains("Mechanism type"), "{log}");

    fs::rename(hsm.path("tokens"), hsm.path("away")).unwrap();
    fs::create_dir(hsm.path("tokens")).unwrap();
    eventually("the token to be missed", async || {
        let refused = client.connect(sidecar.address).await.err();
        refused.is_some_and(|refused| refused.alert == Some(INTERNAL_ERROR))
    })
    .await;
    let failed = sidecar.metric(FAILED, &[("reason", "signer_failed")]).await;
    assert!(failed >= 1.0, "{failed}");
    let (status, text) = sidecar.admin("/readyz").await;
    assert_eq!(status, 503, "{text}");
    assert!(
        text.contains("the token of the key does not sign"),
        "{text}"
    );

    fs::remove_dir(hsm.path("tokens")).unwrap();
    fs::rename(hsm.path("away"), hsm.path("tokens")).unwrap();
    eventually("the token to sign again", async || {
        client.connect(sidecar.address).await.is_ok()
    })
    .await;
    assert_eq!(sidecar.admin("/readyz").await.0, 200);
    let pages = sidecar.admin("/status").await.1 + &sidecar.admin("/metrics").await.1;
    for said in [sidecar.log(), pages] {
        assert!(!said.contains(PIN), "{said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_and_a_foreign_key_end_the_start() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let leaf = pki.leaf(&["localhost"]);
    let Some(hsm) = Hsm::with(&leaf.key) else {
        return;
    };
    hsm.set_pin("another-pin");
    let error = hsm.start(pki, &leaf).await.err().unwrap();
    assert!(error.contains("the token refuses the PIN"), "{error}");
    assert!(!error.contains("another-pin"), "{error}");

    hsm.set_pin(PIN);
    let other = TestPki::new(Algorithm::EcdsaP256);
    let foreign = other.leaf(&["localhost"]);
    let error = hsm.start(other, &foreign).await.err().unwrap();
    assert!(
        error.contains("does not belong to certificate file"),
        "{error}"
    );
}

/// The certificate of each kind, with a key that SoftHSM takes.
fn pair_of(algorithm: Algorithm) -> (TestPki, Pair) {
    let pki = TestPki::new(Algorithm::EcdsaP256).with_keys(algorithm);
    let mut leaf = pki.leaf(&["localhost", "127.0.0.1"]);
    if algorithm == Algorithm::Ed25519 {
        // SoftHSM takes PKCS#8 of version 1, which rcgen does not write: the seed is at its end there, here before
        // the public key.
        let der = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
        let key = PKey::private_key_from_raw_bytes(&der.secret_der()[16..48], Id::ED25519);
        let pem = key.unwrap().private_key_to_pem_pkcs8().unwrap();
        leaf.key = String::from_utf8(pem).unwrap();
    }
    (pki, leaf)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_that_the_token_signs_with_serves_handshakes() {
    for (algorithm, name) in [
        (Algorithm::EcdsaP384, "ECDSA P-384"),
        (Algorithm::Rsa2048, "RSA-2048"),
        (Algorithm::Ed25519, "Ed25519"),
    ] {
        let (pki, leaf) = pair_of(algorithm);
        let Some(hsm) = Hsm::with(&leaf.key) else {
            return;
        };
        let (code, said) = hsm.check(&leaf, &hsm.uri());
        assert_eq!(code, Some(0), "{name}: {said}");
        assert!(said.contains(name), "{name}: {said}");
        let sidecar = hsm.start(pki, &leaf).await.unwrap();
        let client = Client::new().trusting(&sidecar.ca);
        client.connect(sidecar.address).await.unwrap();
    }
}

/// SoftHSM has no ML-DSA: that is what is said, not that no token could have it.
#[test]
fn what_the_token_lacks_is_named() {
    let key = TestPki::new(Algorithm::EcdsaP256).leaf(&["localhost"]).key;
    let Some(hsm) = Hsm::with(&key) else {
        return;
    };
    for algorithm in [Algorithm::MlDsa44, Algorithm::MlDsa65, Algorithm::MlDsa87] {
        let (_, leaf) = pair_of(algorithm);
        let (code, said) = hsm.check(&leaf, &hsm.uri());
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("ML-DSA-"), "{said}");
        assert!(!said.contains("no token signs"), "{said}");
    }
}

#[test]
fn check_asks_the_token() {
    let leaf = TestPki::new(Algorithm::EcdsaP384).leaf(&["localhost"]);
    let Some(hsm) = Hsm::with(&leaf.key) else {
        return;
    };
    let check = |uri: &str| hsm.check(&leaf, uri);
    let pin = hsm.path("pin");
    fs::set_permissions(&pin, PermissionsExt::from_mode(0o400)).unwrap();
    let (code, said) = check(&hsm.uri());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ECDSA P-384"), "{said}");
    assert!(
        said.contains("key = \"pkcs11:token=tests;object=tls?module-path="),
        "{said}"
    );
    assert!(!said.contains("PIN file"), "{said}");
    fs::set_permissions(&pin, PermissionsExt::from_mode(0o644)).unwrap();
    let (code, open) = check(&hsm.uri());
    assert_eq!(code, Some(0), "{open}");
    let warning = format!(
        "PIN file {}: everybody may read it (mode 0644)",
        pin.display()
    );
    assert!(open.contains(&warning), "{open}");
    let (code, said) = check(&format!("{}&pin-value={PIN}", hsm.uri()));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("write the PIN to a file"), "{said}");
    let (code, said) = check(&hsm.uri().replace("object=tls", "object=none"));
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("no such private key"), "{said}");
}
