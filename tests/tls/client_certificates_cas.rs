//! Files of CAs that cannot verify clients, refused at start with the place and the remedy.

use hybridge::certgen::Algorithm;
use hybridge::config::Config;

use crate::support::Setup;
use crate::support::pki::{TestPki, ca_params, constrained_to_uris, uri};

/// What `run` and `check` say of a file of CAs.
fn refusal(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    TestPki::new(Algorithm::EcdsaP256)
        .leaf(&["localhost"])
        .write_to(dir.path());
    let ca = dir.path().join("clients.crt");
    std::fs::write(&ca, text).unwrap();
    let tls = format!(
        "client-auth = \"required\"\nclient-ca = \"{}\"\nallow-any = true",
        ca.display()
    );
    let toml = Setup::in_front_of("127.0.0.1:1").tls(&tls).toml(&dir);
    let config = Config::parse("test.toml", &toml).unwrap();
    let checked = hybridge::run::describe_certificates(&config).unwrap_err();
    let error = hybridge::run::Sidecar::start(config).err().unwrap();
    assert_eq!(checked.to_string(), error.to_string());
    assert!(error.is_configuration());
    error.to_string().replace(&ca.display().to_string(), "FILE")
}

#[tokio::test(flavor = "multi_thread")]
async fn cas_that_cannot_verify_are_refused_at_start_by_name() {
    let key = rcgen::KeyPair::generate().unwrap();
    let fenced = constrained_to_uris(ca_params("fenced"))
        .self_signed(&key)
        .unwrap()
        .pem();
    let good = TestPki::new(Algorithm::EcdsaP256);
    let leaf = good.client(&[uri("spiffe://example.org/ns/ai/sa/batch")]);
    let second = good.ca_pem().lines().count() + 1;
    for (text, message) in [
        (
            good.ca_pem().to_owned() + &fenced,
            "listener `test`: client-ca: FILE: PEM block 2 (line {second}), `CN=fenced`, has a name constraint on URIs (permitted;URI:example.org), which cannot be verified: every client below it would be refused; use a CA without it and fence by allow-uri",
        ),
        (
            leaf.cert.clone(),
            "listener `test`: client-ca: FILE: PEM block 1 (line 1), `CN=client`, is not a CA (basicConstraints): write the CA that issued it, and let it in by a rule",
        ),
        (
            good.ca_pem().to_owned() + &leaf.key,
            "listener `test`: client-ca: FILE: PEM block 2 (line {second}) is a private key: write only the certificates of the CAs",
        ),
        (
            "CAs\n".to_owned(),
            "listener `test`: client-ca: FILE holds no certificate: write the PEM certificates of the CAs that certify clients",
        ),
        (
            String::new(),
            "listener `test`: client-ca: certificate file FILE is empty",
        ),
    ] {
        let message = message.replace("{second}", &second.to_string());
        assert_eq!(refusal(&text), message);
    }
}
