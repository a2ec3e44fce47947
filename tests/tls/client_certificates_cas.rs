//! Files of CAs that cannot verify clients, refused at start with the place and the remedy.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use openssl::asn1::Asn1Time;
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::BasicConstraints;
use openssl::x509::{X509, X509Name};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::support::openssl::Client;
use crate::support::pki::{TestPki, ca_params, constrained_to_uris, uri};
use crate::support::{Setup, answering};

/// What `run` and `check` say of a file of CAs.
fn refusal(text: impl AsRef<[u8]>) -> String {
    refusal_with(text, "")
}

fn refusal_with(text: impl AsRef<[u8]>, more: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    TestPki::new(Algorithm::EcdsaP256)
        .leaf(&["localhost"])
        .write_to(dir.path());
    let ca = dir.path().join("clients.crt");
    std::fs::write(&ca, text).unwrap();
    let tls = format!(
        "client-auth = \"required\"\nclient-ca = \"{}\"\nallow-any = true\n{more}",
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

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_file_is_told_what_it_is() {
    let ca = TestPki::new(Algorithm::EcdsaP256);
    let der = CertificateDer::from_pem_slice(ca.ca_pem().as_bytes()).unwrap();
    assert_eq!(
        refusal(&der),
        "listener `test`: client-ca: FILE: it looks like binary DER or PKCS#12, convert it to PEM with `openssl x509`, `pkey` or `pkcs12`"
    );
}

/// What a CA with such a key certifies would be refused, client by client, for a reason that names no key.
#[tokio::test(flavor = "multi_thread")]
async fn cas_whose_keys_verify_nothing_are_refused_if_there_is_no_other() {
    let short = Rsa::generate(1024).unwrap();
    let short = ca_with(&PKey::from_rsa(short).unwrap());
    let curve = EcGroup::from_curve_name(Nid::SECP256K1).unwrap();
    let curve = ca_with(&PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap());
    let mut explicit = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    explicit.set_asn1_flag(Asn1Flag::EXPLICIT_CURVE);
    let explicit = ca_with(&PKey::from_ec_key(EcKey::generate(&explicit).unwrap()).unwrap());
    let ecdsa = TestPki::new(Algorithm::EcdsaP256).ca_pem().to_owned();
    let known = "use ECDSA P-256, P-384 or P-521, RSA of 2048 to 8192 bits, Ed25519, or ML-DSA-44, -65 or -87";
    let by_signatures = "remove it, or admit such keys by `signatures`";
    let of_client = "every client that it certifies is refused";
    let post_quantum = TestPki::new(Algorithm::MlDsa65);
    for (useless, key, more, remedy) in [
        (&short, "RSA-1024", "", known),
        (&curve, "ECDSA 1.3.132.0.10", "", known),
        (&explicit, "ECDSA with explicit parameters", "", known),
        (
            &ecdsa,
            "ECDSA P-256",
            "signatures = \"pq-required\"",
            by_signatures,
        ),
    ] {
        let refused = refusal_with(useless, more);
        let place = "listener `test`: client-ca: FILE: PEM block 1 (line 1), `";
        assert!(refused.starts_with(place), "{refused}");
        let says =
            format!("has a key of {key}, which verifies nothing here: {of_client}; {remedy}");
        assert!(refused.ends_with(&says), "{refused}");
        // Beside one that is of use it is a warning.
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("clients.crt");
        std::fs::write(&ca, post_quantum.ca_pem().to_owned() + useless).unwrap();
        post_quantum.leaf(&["localhost"]).write_to(dir.path());
        let tls = format!(
            "client-auth = \"required\"\nclient-ca = \"{}\"\nallow-any = true\n{more}",
            ca.display()
        );
        let toml = Setup::in_front_of("127.0.0.1:1").tls(&tls).toml(&dir);
        let config = Config::parse("test.toml", &toml).unwrap();
        let (_, warnings) = hybridge::run::describe_certificates(&config).unwrap();
        let said = warnings.iter().filter(|text| text.contains(of_client));
        let said: Vec<_> = said.collect();
        assert_eq!(said.len(), 1, "{warnings:?}");
        assert!(said[0].ends_with(&says), "{said:?}");
    }
}

/// The certificate of a CA with that key, signed by itself.
fn ca_with(key: &PKey<Private>) -> String {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "weak").unwrap();
    let (name, mut ca) = (name.build(), X509::builder().unwrap());
    ca.set_version(2).unwrap();
    ca.set_subject_name(&name).unwrap();
    ca.set_issuer_name(&name).unwrap();
    ca.set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    ca.set_not_after(&Asn1Time::days_from_now(9).unwrap())
        .unwrap();
    ca.append_extension(BasicConstraints::new().critical().ca().build().unwrap())
        .unwrap();
    ca.set_pubkey(key).unwrap();
    ca.sign(key, MessageDigest::sha256()).unwrap();
    String::from_utf8(ca.build().to_pem().unwrap()).unwrap()
}

/// What `openssl x509 -trustout` writes: the certificate, and trust settings behind it (X509_CERT_AUX).
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_certificate_of_openssl_counts_with_a_warning() {
    let clients = TestPki::new(Algorithm::EcdsaP256);
    let der = CertificateDer::from_pem_slice(clients.ca_pem().as_bytes()).unwrap();
    // SEQUENCE { trust SEQUENCE { clientAuth } }
    let aux = [
        0x30, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02,
    ];
    let body = STANDARD.encode([&*der, &aux].concat());
    let lines: Vec<_> = body.as_bytes().chunks(64).collect();
    let label = "TRUSTED CERTIFICATE";
    let text = format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        String::from_utf8(lines.join(&b'\n')).unwrap()
    );
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("clients.crt");
    std::fs::write(&ca, text).unwrap();
    let tls = format!(
        "client-auth = \"required\"\nclient-ca = \"{}\"\nallow-any = true",
        ca.display()
    );
    let answer = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let setup = Setup::in_front_of(answer).tls(&tls);
    TestPki::new(Algorithm::EcdsaP256)
        .leaf(&["localhost"])
        .write_to(dir.path());
    let config = Config::parse("test.toml", &setup.toml(&dir)).unwrap();
    let (_, warnings) = hybridge::run::describe_certificates(&config).unwrap();
    let said = "PEM block 1 (line 1) has trust settings of OpenSSL, which are not read";
    assert!(
        warnings.iter().any(|text| text.contains(said)),
        "{warnings:?}"
    );
    let sidecar = setup.start();
    let pair = clients.client(&[]);
    let client = Client::new().presenting(&pair.cert, &pair.key);
    let connected = client.connect(sidecar.address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert!(connected.exchange(request).await.is_ok());
}
