//! `hybridge certs`: what it writes, what it refuses to overwrite, and that clients other than our
//! own trust the result.

mod clients;
mod issued;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::pki::TestPki;
use clap::{Parser, ValueEnum};
use hybridge::certgen::{self, Algorithm, Args, CertgenError, Name, Report, Request};
use hybridge::tls::credentials::Credentials;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::X509VerifyParam;
use openssl::x509::{X509, X509StoreContext};
use tempfile::TempDir;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

fn args(words: &[&str]) -> Result<Args, String> {
    let words = ["certs"].iter().chain(words);
    let command = Command::try_parse_from(words).map_err(|error| error.to_string())?;
    Ok(command.args)
}

/// Runs the command on `dir` with the given options.
fn certs(dir: &Path, options: &[&str]) -> Result<Report, CertgenError> {
    let dir = dir.to_str().unwrap();
    certgen::run(&args(&[&["--dir", dir], options].concat()).unwrap())
}

/// The message of a refusal, with the directory cut out.
fn refusal(dir: &Path, options: &[&str]) -> String {
    let error = certs(dir, options).expect_err("it must be refused");
    error
        .to_string()
        .replace(&format!("{}/", dir.display()), "")
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let mut contents: Vec<_> = entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap_or_default())
        })
        .collect();
    contents.sort();
    contents
}

fn x509(path: &Path) -> X509 {
    X509::from_pem(&fs::read(path).unwrap()).unwrap()
}

/// Whether OpenSSL trusts `cert` as a server called `host`, knowing nothing but `ca`.
fn openssl_trusts(ca: &X509, cert: &X509, host: &str) -> Result<(), String> {
    let mut param = X509VerifyParam::new().unwrap();
    match host.parse() {
        Ok(address) => param.set_ip(address).unwrap(),
        Err(_) => param.set_host(host).unwrap(),
    }
    param
        .set_purpose(openssl::x509::X509PurposeId::SSL_SERVER)
        .unwrap();
    let mut store = X509StoreBuilder::new().unwrap();
    store.add_cert(ca.clone()).unwrap();
    store.set_param(&param).unwrap();
    store
        .set_flags(openssl::x509::verify::X509VerifyFlags::X509_STRICT)
        .unwrap();
    let mut context = X509StoreContext::new().unwrap();
    let chain = Stack::new().unwrap();
    let verified = context
        .init(&store.build(), cert, &chain, |context| {
            let verified = context.verify_cert()?;
            Ok((verified, context.error()))
        })
        .unwrap();
    match verified {
        (true, _) => Ok(()),
        (false, error) => Err(error.to_string()),
    }
}

#[test]
fn every_algorithm_makes_certificates_that_openssl_trusts_to_the_letter() {
    for algorithm in Algorithm::value_variants() {
        let name = algorithm.to_possible_value().unwrap().get_name().to_owned();
        let dir = TempDir::new().unwrap();
        let report = certs(dir.path(), &["--algorithm", &name]).unwrap();
        assert_eq!(report.facts.names, ["localhost", "127.0.0.1", "::1"]);
        let (ca, cert) = (x509(&report.ca), x509(&report.cert));
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(openssl_trusts(&ca, &cert, host), Ok(()), "{name} {host}");
        }
        assert!(openssl_trusts(&ca, &cert, "elsewhere.test").is_err());
        let credentials = Credentials::load(&report.cert, &report.key).unwrap();
        assert_eq!(credentials.facts(), &report.facts);
        // A CA is renewed by its own files, whatever its algorithm.
        let renewed = certs(dir.path(), &["--reuse-ca", "--force", "--algorithm", &name]).unwrap();
        assert_ne!(renewed.facts.sha256, report.facts.sha256);
        let cert = x509(&renewed.cert);
        assert_eq!(
            openssl_trusts(&ca, &cert, "localhost"),
            Ok(()),
            "{name} renewed"
        );
    }
}

#[test]
fn the_algorithms_are_called_as_documented() {
    let names: Vec<_> = Algorithm::value_variants()
        .iter()
        .map(|algorithm| algorithm.to_possible_value().unwrap().get_name().to_owned())
        .collect();
    let documented = [
        "ecdsa-p256",
        "ecdsa-p384",
        "ed25519",
        "rsa-2048",
        "ml-dsa-44",
        "ml-dsa-65",
        "ml-dsa-87",
    ];
    assert_eq!(names, documented);
    assert_eq!(args(&[]).unwrap().algorithm, Algorithm::EcdsaP256);
    assert_eq!(args(&[]).unwrap().dir, Path::new("certs"));
}

#[test]
fn the_names_asked_for_are_the_names_certified() {
    let dir = TempDir::new().unwrap();
    let options = [
        "--name",
        "API.example.com",
        "--name",
        "*.pods.test",
        "--name",
        "10.1.2.3",
    ];
    let report = certs(dir.path(), &options).unwrap();
    assert_eq!(
        report.facts.names,
        ["api.example.com", "*.pods.test", "10.1.2.3"]
    );
    assert_eq!(report.facts.subject, "CN=api.example.com");
    let (ca, cert) = (x509(&report.ca), x509(&report.cert));
    assert_eq!(openssl_trusts(&ca, &cert, "one.pods.test"), Ok(()));
    assert!(openssl_trusts(&ca, &cert, "localhost").is_err());
}

#[test]
fn a_name_too_long_for_a_subject_is_certified_all_the_same() {
    let dir = TempDir::new().unwrap();
    let long = format!("{}.test", ["abcdefghij"; 9].join("."));
    let report = certs(dir.path(), &["--name", &long]).unwrap();
    assert_eq!(report.facts.subject, "CN=hybridge");
    let (ca, cert) = (x509(&report.ca), x509(&report.cert));
    assert_eq!(openssl_trusts(&ca, &cert, &long), Ok(()));
}

#[test]
fn what_is_no_name_is_refused_by_the_command_line() {
    for name in [
        "",
        "two words",
        "https://api.test",
        "api.test:8443",
        "*",
        "a..b",
        "-x.test/",
    ] {
        let message = args(&[&format!("--name={name}")]).unwrap_err();
        let expected = format!(
            "error: invalid value '{name}' for '--name <DNS_OR_IP>': \"{name}\" is neither an IP address nor a DNS name"
        );
        let empty = "error: a value is required for '--name <DNS_OR_IP>'";
        assert!(
            message.starts_with(&expected) || name.is_empty() && message.starts_with(empty),
            "{message}"
        );
    }
}

#[test]
fn a_life_of_no_days_or_of_too_many_is_refused() {
    for days in ["0", "3651", "-1", "soon"] {
        assert!(args(&[&format!("--days={days}")]).is_err(), "{days}");
    }
    let request = Request {
        days: 0,
        ..Request::default()
    };
    let message = certgen::generate(&request).unwrap_err().to_string();
    assert_eq!(
        message,
        "0 days is no life for a certificate: choose 1 to 3650"
    );
}

#[test]
fn certificates_live_as_long_as_asked_and_their_ca_longer() {
    let dir = TempDir::new().unwrap();
    let before = time::OffsetDateTime::now_utc().unix_timestamp();
    let report = certs(dir.path(), &["--days", "30"]).unwrap();
    let facts = &report.facts;
    assert_eq!(facts.not_after - facts.not_before, 30 * 86_400 + 3600);
    assert!(facts.not_before < before && facts.not_before >= before - 3601);
    let ca = Credentials::load(&report.ca, &dir.path().join("ca.key")).unwrap();
    // The leaf begins a moment after its CA.
    let shorter = 5 * 365 * 86_400 - (ca.facts().not_after - facts.not_after);
    assert!((0..60).contains(&shorter), "{shorter}");
}

#[test]
fn keys_are_for_their_owner_alone_and_nothing_else_is_left_behind() {
    let dir = TempDir::new().unwrap();
    let nested = dir.path().join("not/yet/there");
    certs(&nested, &[]).unwrap();
    let names: Vec<_> = contents(&nested)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
    for name in names {
        let mode = fs::metadata(nested.join(&name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777;
        if matches!(name.as_str(), "ca.key" | "tls.key") {
            assert_eq!(mode, 0o600, "{name}");
        } else {
            assert_eq!(mode & 0o755, 0o644, "{name}");
        }
    }
}

/// A sidecar that runs as another user reads what was renewed.
#[test]
fn what_is_replaced_keeps_its_group_and_mode_but_no_key_is_for_everybody() {
    let dir = TempDir::new().unwrap();
    certs(dir.path(), &[]).unwrap();
    let file = |name| dir.path().join(name);
    let of = |name| {
        let metadata = fs::metadata(file(name)).unwrap();
        (metadata.mode() & 0o7777, metadata.gid())
    };
    let set = |name, mode, gid| {
        std::os::unix::fs::chown(file(name), None, Some(gid)).unwrap();
        fs::set_permissions(file(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    // Only root may choose a group that it is not in.
    let group = of("tls.key").1 + u32::from(rustix::process::geteuid().is_root());
    set("tls.key", 0o640, group);
    set("tls.crt", 0o664, group);
    let before = contents(dir.path());
    certs(dir.path(), &["--reuse-ca", "--force"]).unwrap();
    assert_ne!(contents(dir.path()), before);
    assert_eq!(of("tls.key"), (0o640, group));
    assert_eq!(of("tls.crt"), (0o664, group));
    // What everybody could do is no choice that is kept for a key.
    set("tls.key", 0o666, group);
    certs(dir.path(), &["--force"]).unwrap();
    assert_eq!(of("tls.key"), (0o640, group));
    assert_eq!(of("ca.key").0, 0o600);
}

#[test]
fn nothing_is_overwritten_without_force() {
    for existing in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(existing), "mine").unwrap();
        let expected = format!(
            "{existing} exists already: pass --force to replace it, or choose another --dir"
        );
        assert_eq!(refusal(dir.path(), &[]), expected);
        assert_eq!(
            contents(dir.path()),
            [(existing.to_owned(), b"mine".to_vec())]
        );
        certs(dir.path(), &["--force"]).unwrap();
        assert_eq!(contents(dir.path()).len(), 4);
    }
}

#[test]
fn a_second_time_the_ca_is_offered_for_reuse_first() {
    let dir = TempDir::new().unwrap();
    certs(dir.path(), &[]).unwrap();
    let said = refusal(dir.path(), &[]);
    let reuse = said.find("--reuse-ca --force makes").unwrap();
    assert!(reuse < said.rfind("--force also").unwrap(), "{said}");
    assert_eq!(
        refusal(dir.path(), &["--reuse-ca"]),
        "tls.crt exists already: pass --force to replace it, or choose another --dir"
    );
    let ca = fs::read(dir.path().join("ca.crt")).unwrap();
    certs(dir.path(), &["--reuse-ca", "--force"]).unwrap();
    assert_eq!(fs::read(dir.path().join("ca.crt")).unwrap(), ca);
}

#[test]
fn a_dangling_link_counts_as_existing() {
    let dir = TempDir::new().unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("tls.key")).unwrap();
    assert!(refusal(dir.path(), &[]).starts_with("tls.key exists already"));
}

#[test]
fn a_failure_halfway_leaves_everything_as_it_was() {
    let dir = TempDir::new().unwrap();
    certs(dir.path(), &[]).unwrap();
    let cert = dir.path().join("tls.crt");
    fs::remove_file(&cert).unwrap();
    fs::create_dir(&cert).unwrap();
    let before = contents(dir.path());
    assert_eq!(
        refusal(dir.path(), &["--force"]),
        "cannot replace tls.crt: it is a directory: choose another name"
    );
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let message = refusal(dir.path().join("file").as_path(), &[]);
    assert!(
        message.starts_with("cannot make the directory "),
        "{message}"
    );
}

#[test]
fn a_renewal_leaves_the_ca_alone() {
    let dir = TempDir::new().unwrap();
    let first = certs(dir.path(), &["--algorithm", "ecdsa-p384"]).unwrap();
    let (ca, ca_key) = (
        fs::read(&first.ca).unwrap(),
        fs::read(dir.path().join("ca.key")).unwrap(),
    );
    let refused = refusal(dir.path(), &["--reuse-ca"]);
    assert_eq!(
        refused,
        "tls.crt exists already: pass --force to replace it, or choose another --dir"
    );
    let options = [
        "--reuse-ca",
        "--force",
        "--algorithm",
        "ed25519",
        "--name",
        "new.test",
    ];
    let second = certs(dir.path(), &options).unwrap();
    assert_eq!(second.written, [second.cert.clone(), second.key.clone()]);
    assert_eq!(second.facts.key_algorithm, "Ed25519");
    assert_eq!(fs::read(&second.ca).unwrap(), ca);
    assert_eq!(fs::read(dir.path().join("ca.key")).unwrap(), ca_key);
    assert_eq!(
        openssl_trusts(&x509(&second.ca), &x509(&second.cert), "new.test"),
        Ok(())
    );
}

#[test]
fn a_ca_that_cannot_issue_is_refused() {
    let dir = TempDir::new().unwrap();
    assert_eq!(
        refusal(dir.path(), &["--reuse-ca"]),
        "cannot use the existing CA: certificate file ca.crt does not exist"
    );
    let leaf = TestPki::new(Algorithm::EcdsaP256).leaf(&["api.test"]);
    fs::write(dir.path().join("ca.crt"), &leaf.cert).unwrap();
    fs::write(dir.path().join("ca.key"), &leaf.key).unwrap();
    assert_eq!(
        refusal(dir.path(), &["--reuse-ca"]),
        "cannot use the existing CA: ca.crt is not the certificate of a CA (its basic constraints do not say CA)"
    );
    certs(dir.path(), &["--force", "--days", "1"]).unwrap();
    let message = refusal(dir.path(), &["--reuse-ca", "--force", "--days", "3000"]);
    let start = "the existing CA ends on ";
    let end = ", before a certificate of 3000 days: choose fewer --days, or make a new CA without --reuse-ca";
    assert!(
        message.starts_with(start) && message.ends_with(end),
        "{message}"
    );
}
