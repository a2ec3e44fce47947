//! `inject certs`: what is printed, rotation with an overlap, and the check before expiry.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use clap::Parser;
use hybridge::inject::certs::{self, CertsError};
use hybridge::inject::{CertsArgs, read_yaml};
use openssl::x509::X509;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    certs: CertsArgs,
}

fn run(words: &[&str], now: OffsetDateTime) -> Result<String, CertsError> {
    let cli = Cli::try_parse_from(["certs"].iter().chain(words)).unwrap();
    let mut out = Vec::new();
    certs::run(&cli.certs, now, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn made(text: &str) -> (Value, Value) {
    let (secret, bundle) = text.split_once("---\n").unwrap();
    (read_yaml(secret).unwrap(), read_yaml(bundle).unwrap())
}

fn decode(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn bundle_of(webhook: &Value, index: usize) -> Vec<X509> {
    X509::stack_from_pem(&decode(
        &webhook["webhooks"][index]["clientConfig"]["caBundle"],
    ))
    .unwrap()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_certificate_names_the_service_and_verifies_against_the_bundle() {
    let (secret, webhook) = made(&run(&["--namespace", "pq", "--service", "inj"], now()).unwrap());
    let leaf = X509::from_pem(&decode(&secret["data"]["tls.crt"])).unwrap();
    let names: Vec<String> = leaf
        .subject_alt_names()
        .unwrap()
        .iter()
        .filter_map(|n| n.dnsname().map(str::to_owned))
        .collect();
    assert_eq!(names, ["inj.pq.svc"]);
    let ca = &bundle_of(&webhook, 0)[0];
    assert!(leaf.verify(&ca.public_key().unwrap()).unwrap());
    assert_eq!(
        bundle_of(&webhook, 1)[0].to_der().unwrap(),
        ca.to_der().unwrap()
    );
    let key =
        openssl::pkey::PKey::private_key_from_pem(&decode(&secret["data"]["tls.key"])).unwrap();
    assert!(leaf.public_key().unwrap().public_eq(&key));
    assert_eq!(secret["type"], "kubernetes.io/tls");
    assert_eq!(webhook["webhooks"][0]["name"], certs::WEBHOOKS[0]);
}

#[test]
fn a_rotation_trusts_the_old_and_the_new_ca() {
    let dir = tempfile::tempdir().unwrap();
    let first = run(&[], now()).unwrap();
    let old = write(dir.path(), "old.yaml", first.split("---\n").next().unwrap());
    let (_, webhook) = made(&run(&["--previous-ca", &old], now()).unwrap());
    assert_eq!(bundle_of(&webhook, 0).len(), 2);
    let (_, later) = made(&run(&["--previous-ca", &old], now() + Duration::days(400)).unwrap());
    assert_eq!(
        bundle_of(&later, 0).len(),
        1,
        "a CA that has ended is not carried along"
    );
}

#[test]
fn the_check_fails_before_expiry() {
    let dir = tempfile::tempdir().unwrap();
    let (text, made_at) = (run(&["--days", "90"], now()).unwrap(), now());
    let path = write(
        dir.path(),
        "secret.yaml",
        text.split("---\n").next().unwrap(),
    );
    assert!(
        run(&["--check", &path], made_at)
            .unwrap()
            .contains("days left")
    );
    let late = run(
        &["--check", &path, "--warn-days", "30"],
        made_at + Duration::days(61),
    );
    assert!(matches!(late, Err(CertsError::Expiring { .. })));
    assert!(run(&["--check", &path], made_at + Duration::days(91)).is_err());
}

/// What the API server refuses while days are left.
#[test]
fn the_check_verifies_name_purpose_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let (secret, _) = made(&run(&[], now()).unwrap());
    let checked = |secret: &Value, flags: &[&str]| {
        let path = write(dir.path(), "secret.yaml", &secret.to_string());
        run(&[&["--check", &path][..], flags].concat(), now()).map_err(|error| error.to_string())
    };
    checked(&secret, &[]).unwrap();
    let said = checked(&secret, &["--namespace", "other"]).unwrap_err();
    assert!(said.contains("refuses it for hybridge-injector.other.svc: it is for `hybridge-injector.hybridge-system.svc`"), "{said}");
    let mut keyless = secret.clone();
    keyless["data"].as_object_mut().unwrap().remove("tls.key");
    let (others, _) = made(&run(&[], now()).unwrap());
    let with = |field: &str| {
        let mut mixed = secret.clone();
        mixed["data"][field] = others["data"][field].clone();
        mixed
    };
    for (secret, what) in [
        (keyless, "the Secret has no tls.key"),
        (with("tls.key"), "tls.key"),
        (with("ca.crt"), "no CA there certifies it"),
    ] {
        let said = checked(&secret, &[]).unwrap_err();
        assert!(
            said.contains("days left\nthe API server refuses it"),
            "{said}"
        );
        assert!(said.contains(what), "{said}");
    }
    // Without the Secret there is neither key nor CA.
    let leaf = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let name = "hybridge-injector.hybridge-system.svc".to_owned();
        let mut params = rcgen::CertificateParams::new([name]).unwrap();
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::Issuer::new(
            rcgen::CertificateParams::default(),
            rcgen::KeyPair::generate().unwrap(),
        );
        let pem = params.signed_by(&key, &ca).unwrap().pem();
        let path = write(dir.path(), "tls.crt", &pem);
        run(&["--check", &path], now()).map_err(|error| error.to_string())
    };
    leaf(&|_| {}).unwrap();
    let purpose = leaf(&|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::EmailProtection];
    });
    assert!(purpose.unwrap_err().contains("refuses it"));
    let nameless = leaf(&|params| params.subject_alt_names.clear());
    assert!(nameless.unwrap_err().contains("it has no name"));
}

#[test]
fn files_are_written_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    run(&["--dir", dir.path().to_str().unwrap()], now()).unwrap();
    for name in ["secret.yaml", "ca-bundle.yaml"] {
        let mode = std::fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn certificates_in_use_are_replaced_only_by_a_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("new/folder");
    let folder = folder.to_str().unwrap();
    run(&["--dir", folder], now()).unwrap();
    let error = run(&["--dir", folder], now()).unwrap_err();
    assert!(matches!(error, CertsError::Exists { .. }), "{error}");
    let secret = format!("{folder}/secret.yaml");
    assert!(
        error
            .to_string()
            .contains(&format!("--previous-ca {secret}"))
    );
    run(&["--dir", folder, "--previous-ca", &secret], now()).unwrap();
    let bundle = std::fs::read_to_string(format!("{folder}/ca-bundle.yaml")).unwrap();
    let webhook = read_yaml(&bundle).unwrap();
    assert_eq!(bundle_of(&webhook, 0).len(), 2);
}

/// Tools write older labels, too: behind one a certificate that has ended must not hide.
#[test]
fn certificates_under_older_labels_are_checked_too() {
    let dir = tempfile::tempdir().unwrap();
    let (secret, _) = made(&run(&["--days", "90"], now()).unwrap());
    let new = String::from_utf8(decode(&secret["data"]["tls.crt"])).unwrap();
    let (secret, _) = made(&run(&["--days", "10"], now()).unwrap());
    let old = String::from_utf8(decode(&secret["data"]["tls.crt"])).unwrap();
    for label in ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
        let text = new.clone() + &old.replace(" CERTIFICATE-", &format!(" {label}-"));
        let path = write(dir.path(), "tls.crt", &text);
        let checked = run(&["--check", &path], now());
        assert!(
            matches!(checked, Err(CertsError::Expiring { .. })),
            "{checked:?}"
        );
    }
}

#[test]
fn a_device_is_no_file_with_a_certificate() {
    let said = run(&["--check", "/dev/zero"], now())
        .unwrap_err()
        .to_string();
    assert!(said.contains("it is not a regular file"), "{said}");
}

#[test]
fn a_file_without_certificate_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for text in [
        "",
        "a: 1",
        "data: {}",
        "data: {tls.crt: 1}",
        "stringData: {tls.crt: }",
    ] {
        let path = write(dir.path(), "x", text);
        let error = run(&["--check", &path], now()).unwrap_err();
        assert!(matches!(error, CertsError::NoCertificate { .. }), "{error}");
    }
}

/// A CA that was passed over would be missing in the bundle, and every pod refused at the next rotation.
#[test]
fn no_certificate_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let ca = || {
        let (secret, _) = made(&run(&[], now()).unwrap());
        String::from_utf8(decode(&secret["data"]["ca.crt"])).unwrap()
    };
    let (first, second) = (ca(), ca());
    let marked = write(dir.path(), "marked", &format!("\u{feff}{first}{second}"));
    let (_, webhook) = made(&run(&["--previous-ca", &marked], now()).unwrap());
    assert_eq!(bundle_of(&webhook, 0).len(), 3);
    let checked = run(&["--check", &marked], now()).unwrap();
    assert_eq!(checked.lines().count(), 2, "{checked}");
    for (text, what) in [
        (
            format!("{}{second}", first.trim_end()),
            "PEM block 1 (line 1)",
        ),
        (format!("{first}----------{second}"), "is not a well-formed"),
        (
            format!("{first}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "is no certificate",
        ),
        // What a CA may be below, and this reader does not know.
        (
            first.clone() + &second.replace("CERTIFICATE", "PKCS7"),
            "is `PKCS7`, which is no certificate: convert it",
        ),
        (
            first.clone() + &second.replace("CERTIFICATE", "X.509 CERTIFICATE"),
            "is `X.509 CERTIFICATE`, which is no certificate",
        ),
        (
            first.clone() + &second.replace("CERTIFICATE", "X509 CRL"),
            "is `X509 CRL`, which is no certificate",
        ),
        (
            "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n".to_owned(),
            "PEM block 1",
        ),
    ] {
        let path = write(dir.path(), "damaged", &text);
        for option in ["--previous-ca", "--check"] {
            let error = run(&[option, &path], now()).unwrap_err();
            assert!(matches!(error, CertsError::Unreadable { .. }), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}

/// `kubectl apply` keeps what was applied in an annotation, on one line.
#[test]
fn a_secret_that_was_applied_as_string_data_is_read_as_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let (secret, _) = made(&run(&[], now()).unwrap());
    let (other, _) = made(&run(&["--days", "10"], now()).unwrap());
    let text = |secret: &Value, field| String::from_utf8(decode(&secret["data"][field])).unwrap();
    let clear = json!({
        "kind": "Secret",
        "stringData": {"tls.crt": text(&secret, "tls.crt"), "tls.key": text(&secret, "tls.key"), "ca.crt": text(&secret, "ca.crt")},
    });
    let mut applied = secret.clone();
    let last = "kubectl.kubernetes.io/last-applied-configuration";
    applied["metadata"]["annotations"] = json!({last: clear.to_string()});
    // What is given in clear counts.
    let mut both = clear.clone();
    both["data"] = other["data"].clone();
    for (name, file) in [("applied", &applied), ("clear", &clear), ("both", &both)] {
        let path = write(dir.path(), name, &file.to_string());
        let checked = run(&["--check", &path], now()).unwrap();
        assert_eq!(checked.lines().count(), 1, "{name}: {checked}");
        let (_, webhook) = made(&run(&["--previous-ca", &path], now()).unwrap());
        assert_eq!(bundle_of(&webhook, 0).len(), 2, "{name}");
    }
    // A ConfigMap has its PEM in clear.
    let pem = text(&secret, "ca.crt").replace('\n', "\n    ");
    let map = format!("kind: ConfigMap\ndata:\n  ca.crt: |\n    {pem}\n");
    let map = write(dir.path(), "map", &map);
    let (_, webhook) = made(&run(&["--previous-ca", &map], now()).unwrap());
    assert_eq!(bundle_of(&webhook, 0).len(), 2);
}

#[test]
fn a_previous_ca_that_everybody_may_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let old = write(dir.path(), "old", &run(&[], now()).unwrap());
    let (secret, _) = made(&std::fs::read_to_string(&old).unwrap());
    let ca = String::from_utf8(decode(&secret["data"]["ca.crt"])).unwrap();
    let old = write(dir.path(), "old", &ca);
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&old, mode).unwrap();
    };
    mode(0o666);
    let error = run(&["--previous-ca", &old], now()).unwrap_err();
    let said = format!("--previous-ca: {old} may be written by everybody (mode 0666)");
    assert!(error.to_string().starts_with(&said), "{error}");
    mode(0o664);
    run(&["--previous-ca", &old], now()).unwrap();
}

/// The bundle that is trusted, alone or as a link that leads nowhere, is replaced by a rotation only.
#[test]
fn a_bundle_without_its_secret_is_not_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (secret, bundle) = (
        dir.path().join("secret.yaml"),
        dir.path().join("ca-bundle.yaml"),
    );
    let into = ["--dir", dir.path().to_str().unwrap()];
    run(&into, now()).unwrap();
    let trusted = std::fs::read(&bundle).unwrap();
    let moved = dir.path().join("moved.yaml");
    std::fs::rename(&secret, &moved).unwrap();
    let error = run(&into, now()).unwrap_err();
    assert!(error.to_string().contains("--previous-ca"), "{error}");
    assert!(matches!(error, CertsError::BundleExists { .. }));
    assert_eq!(std::fs::read(&bundle).unwrap(), trusted);
    std::os::unix::fs::symlink("/nowhere", &secret).unwrap();
    assert!(matches!(run(&into, now()), Err(CertsError::Exists { .. })));
    std::fs::remove_file(&secret).unwrap();
    let rotation = ["--previous-ca", moved.to_str().unwrap()];
    run(&[into, rotation].concat(), now()).unwrap();
    assert!(secret.exists());
}
