//! A server that admits no signature of an egress's key gets no certificate, and the log says so instead of asking
//! whether it trusts the one that it never saw.

use hybridge::certgen::Algorithm;

use crate::support::Setup;
use crate::support::egress::app;
use crate::support::openssl::server::Server;
use crate::support::pki::{TestPki, client, uri};
use crate::support::process::Process;

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_a_server_cannot_verify_is_not_shown_and_the_log_says_so() {
    let (pki, files) = (
        TestPki::new(Algorithm::EcdsaP256),
        tempfile::tempdir().unwrap(),
    );
    let file = |name: &str| files.path().join(name).display().to_string();
    std::fs::write(file("ca.crt"), pki.ca_pem()).unwrap();
    // Of an SVID: without a subject, so that only its URI can be shown.
    let mut params = client(&[uri("spiffe://example.org/app")]);
    params.distinguished_name = rcgen::DistinguishedName::new();
    let pair = TestPki::new(Algorithm::MlDsa65).issue(&params);
    pair.write_to(files.path());
    let server = Server::new(&pki.leaf(&["localhost"])).asking(pki.ca_pem());
    let server = server.verifying("ECDSA+SHA256:RSA-PSS+SHA256");
    let insisting = server.listen();
    let optional = server.optional().listen();
    let egress = |name: &str, port: u16| {
        format!(
            "[[egress]]\nname = \"{name}\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:{port}\"\nprotocol = \"tcp\"\n[egress.tls]\nca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n",
            file("ca.crt"),
            file("tls.crt"),
            file("tls.key")
        )
    };
    let both = egress("insisting", insisting.address.port())
        + &egress("optional", optional.address.port());
    let setup = Setup::in_front_of("127.0.0.1:9").process(&both);
    let process = Process::start(&setup).await;
    let app = async |index: usize| app(process.egress(index).await, b"ping").await.received;
    // It does not insist: the app is served, as anybody.
    assert_eq!(app(1).await, b"ping");
    let said = "\"no certificate shown: the server admits no signature of our key\"";
    process.logs(said).await;
    let log = process.log();
    let line = log.lines().find(|line| line.contains(said)).unwrap();
    for field in ["listener=optional", "ML-DSA-65", "level=WARN"] {
        assert!(line.contains(field), "{line}");
    }
    assert_eq!(app(0).await, b"");
    process
        .logs("it saw no certificate: it admits no signature of a key of ML-DSA-65, which that of `spiffe://example.org/app` has")
        .await;
    assert!(!process.log().contains("it saw the certificate of"));
}
