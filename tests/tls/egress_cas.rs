//! Which certificates an egress, or the exporter of traces, takes as CAs, and whom they certify.

use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use hybridge::run;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Builder};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::support::egress::{app, egress};
use crate::support::openssl::server::Server;
use crate::support::pki::{Pair, TestPki, ca_params, client, constrained_to_uris, uri};

const FAILED: &str = "hybridge_handshake_failures_total";

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn server(names: &[SanType]) -> CertificateParams {
    let mut params = client(names);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// Signed by itself.
fn alone(params: &CertificateParams) -> (Pair, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let pair = Pair {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    };
    (pair, key)
}

/// Signed by the key of another certificate, whatever that may sign.
fn below(params: &CertificateParams, issuer: CertificateParams, key: KeyPair) -> Pair {
    let own = KeyPair::generate().unwrap();
    let issuer = Issuer::new(issuer, key);
    Pair {
        cert: params.signed_by(&own, &issuer).unwrap().pem(),
        key: own.serialize_pem(),
    }
}

/// What `check` says of these CAs for an egress with these settings and for a collector: the same.
fn checked(ca: &str, tls: &str) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, ca).unwrap();
    let file = file.display().to_string();
    let said = |toml: String, who: &str| {
        let config = Config::parse("test.toml", &toml).unwrap();
        let plain = |text: String| text.replace(&file, "FILE").replacen(who, "", 1);
        run::describe_certificates(&config)
            .map(|(_, warnings)| warnings.into_iter().map(plain).collect::<Vec<_>>())
            .map_err(|error| {
                assert!(error.is_configuration(), "{error}");
                plain(error.to_string())
            })
    };
    let egress = |ca: &str, tls: &str| {
        format!(
            "[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:9\"\n[egress.tls]\nca = \"{ca}\"\n{tls}\n"
        )
    };
    let of_egress = said(egress(&file, tls), "egress `out`: ");
    if tls.is_empty() {
        let good = dir.path().join("good.crt");
        std::fs::write(&good, TestPki::new(Algorithm::EcdsaP256).ca_pem()).unwrap();
        let good = egress(&good.display().to_string(), "");
        let traces =
            format!("[traces]\nendpoint = \"https://localhost:9\"\nca = \"{file}\"\n{good}");
        assert_eq!(said(traces, "traces: "), of_egress);
    }
    of_egress
}

#[test]
fn a_certificate_that_is_no_ca_and_not_that_of_one_server_is_refused() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let leaf = pki.leaf(&["localhost"]);
    assert_eq!(
        checked(&leaf.cert, "").unwrap_err(),
        "ca: FILE: PEM block 1 (line 1), `CN=localhost`, is not a CA (basicConstraints): write the CA that issued it"
    );
    let (nameless, _) = alone(&server(&[]));
    assert_eq!(
        checked(&nameless.cert, "").unwrap_err(),
        "ca: FILE: PEM block 1 (line 1), `CN=client`, is not a CA (basicConstraints): make it again as one, or with the server's name (subjectAltName) if only this server is to be trusted by it"
    );
    assert_eq!(
        checked("CAs\n", "").unwrap_err(),
        "ca: FILE holds no certificate: write the PEM certificates of the CAs that certify the servers"
    );
    assert_eq!(
        checked(&leaf.key, "").unwrap_err(),
        "ca: FILE: PEM block 1 (line 1) is a private key: write only the certificates of the CAs"
    );
}

/// A certificate of the same name in version 1, with this key and signed by it.
fn version_1(made: &str, own: &PKey<Private>) -> String {
    let made = X509::from_pem(made.as_bytes()).unwrap();
    let mut old = X509Builder::new().unwrap();
    old.set_serial_number(made.serial_number()).unwrap();
    old.set_subject_name(made.subject_name()).unwrap();
    old.set_issuer_name(made.subject_name()).unwrap();
    old.set_not_before(made.not_before()).unwrap();
    old.set_not_after(made.not_after()).unwrap();
    old.set_pubkey(own).unwrap();
    old.sign(own, MessageDigest::sha256()).unwrap();
    String::from_utf8(old.build().to_pem().unwrap()).unwrap()
}

/// What `openssl x509 -req -signkey` makes, as private PKIs have it.
#[tokio::test]
async fn a_root_of_version_1_certifies_servers_with_a_warning() {
    let mut issuer = CertificateParams::default();
    issuer.distinguished_name = DistinguishedName::new();
    let name = &mut issuer.distinguished_name;
    name.push(DnType::CommonName, "old root");
    let key = KeyPair::generate().unwrap();
    let own = PKey::private_key_from_pem(key.serialize_pem().as_bytes()).unwrap();
    let root = version_1(&issuer.self_signed(&key).unwrap().pem(), &own);
    let warnings = checked(&root, "").unwrap();
    assert_eq!(
        warnings,
        [
            "ca: FILE: PEM block 1 (line 1), `CN=old root`, is of X.509 version 1, which does not say whether it is a CA: anyone who has its key can certify any server; make it again with basicConstraints"
        ]
    );
    let issued = Server::new(&below(&server(&[dns("localhost")]), issuer, key)).listen();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    for cas in [root.clone(), pki.ca_pem().to_owned() + &root] {
        let target = format!("localhost:{}", issued.address.port());
        let egress = egress(&target, &cas, "", "");
        assert_eq!(app(egress.address, b"ping").await.received, b"ping");
    }
}

/// What many write down for a server of their own; for the verifier it is a name and a key like that of a CA.
#[tokio::test]
async fn a_self_signed_certificate_of_a_server_counts_for_itself_and_certifies_no_other() {
    let params = server(&[dns("localhost")]);
    let (pinned, key) = alone(&params);
    assert_eq!(checked(&pinned.cert, ""), Ok(Vec::new()));
    let pki = TestPki::new(Algorithm::EcdsaP256);
    // Alone in the file, and beside a CA.
    let both = pinned.cert.clone() + pki.ca_pem();
    let forged = Server::new(&below(&server(&[dns("localhost")]), params, key)).listen();
    let itself = Server::new(&pinned).listen();
    let issued = Server::new(&pki.leaf(&["localhost"])).listen();
    for (cas, issued_counts) in [(&pinned.cert, false), (&both, true)] {
        for (server, counts) in [(&itself, true), (&issued, issued_counts), (&forged, false)] {
            let target = format!("localhost:{}", server.address.port());
            let egress = egress(&target, cas, "", "");
            let ended = app(egress.address, b"ping").await;
            let wanted: &[u8] = if counts { b"ping" } else { b"" };
            assert_eq!(ended.received, wanted);
            if !counts {
                let untrusted = [("reason", "server_untrusted")];
                egress.metric_reaches(FAILED, &untrusted, 1.0).await;
            }
        }
        let target = format!("127.0.0.1:{}", itself.address.port());
        let egress = egress(&target, cas, "", "");
        assert_eq!(app(egress.address, b"ping").await.received, b"");
        let mismatch = [("reason", "server_name_mismatch")];
        egress.metric_reaches(FAILED, &mismatch, 1.0).await;
    }
}

#[test]
fn a_ca_whose_key_verifies_nothing_is_refused_if_there_is_no_other() {
    let key = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
    let weak = version_1(&alone(&ca_params("weak")).0.cert, &key);
    let says = "`CN=weak`, has a key of RSA-1024, which verifies nothing here: every server that it certifies is refused";
    let refused = checked(&weak, "").unwrap_err();
    assert!(refused.contains(says), "{refused}");
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let warnings = checked(&(weak + pki.ca_pem()), "").unwrap();
    let said = warnings.iter().filter(|warning| warning.contains(says));
    assert_eq!(said.count(), 1, "{warnings:?}");
}

#[test]
fn what_has_expired_is_a_warning() {
    let ended = OffsetDateTime::from_unix_timestamp(1_600_000_000).unwrap();
    let expired = |mut params: CertificateParams| {
        (params.not_before, params.not_after) = (ended - Duration::days(9), ended);
        alone(&params).0.cert
    };
    assert_eq!(
        checked(&expired(ca_params("old")), "").unwrap(),
        [
            "ca: FILE: PEM block 1 (line 1), `CN=old`, expired at 2020-09-13T12:26:40Z, and the servers that it certifies are still trusted: remove it"
        ]
    );
    assert_eq!(
        checked(&expired(server(&[dns("localhost")])), "").unwrap(),
        [
            "ca: FILE: PEM block 1 (line 1), `CN=client`, expired at 2020-09-13T12:26:40Z, and the server that shows it is refused: replace it"
        ]
    );
}

/// webpki refuses each certificate with a URI below such a CA, and no other.
#[tokio::test]
async fn a_constraint_on_uris_is_refused_with_peer_ids_and_a_warning_without() {
    let params = constrained_to_uris(ca_params("fenced"));
    let (ca, key) = alone(&params);
    let said = "ca: FILE: PEM block 1 (line 1), `CN=fenced`, has a name constraint on URIs (permitted;URI:example.org), which cannot be verified: ";
    assert_eq!(
        checked(&ca.cert, "peer-ids = [\"spiffe://example.org/a\"]").unwrap_err(),
        said.to_owned()
            + "every server below it would be refused; use a CA without it and fence by peer-ids"
    );
    assert_eq!(
        checked(&ca.cert, "").unwrap(),
        [said.to_owned() + "a server below it with a URI in its certificate is refused"]
    );
    let same = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let named = below(&server(&[dns("localhost")]), params.clone(), same);
    let with_uri = server(&[dns("localhost"), uri("spiffe://example.org/a")]);
    let with_uri = below(&with_uri, params, key);
    for (pair, received) in [(named, &b"ping"[..]), (with_uri, b"")] {
        let server = Server::new(&pair).listen();
        let target = format!("localhost:{}", server.address.port());
        let egress = egress(&target, &ca.cert, "", "");
        assert_eq!(app(egress.address, b"ping").await.received, received);
    }
}
