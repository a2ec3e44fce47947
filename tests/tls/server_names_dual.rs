//! Two certificates of one name: what the client can verify decides, and ML-DSA is opt-in.

use hybridge::certgen::Algorithm;

use crate::server_names::{Several, warnings};
use crate::support::openssl::Client;
use crate::support::pki::TestPki;

const CLASSICAL: &str = "ECDSA+SHA256:RSA-PSS+SHA256";
const FAILED: &str = "hybridge_handshake_failures_total";

async fn signature(several: &Several, client: Client) -> String {
    let connected = client.connect(several.sidecar.address).await.unwrap();
    connected.signature()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ml_dsa_certificate_is_for_its_written_names_and_for_clients_that_verify_it() {
    let pki = TestPki::new(Algorithm::MlDsa65);
    let written = "names = [\"localhost\"]";
    for (settings, own, expected) in [
        ("", written, "mldsa65"),
        ("", "", "ecdsa_secp256r1_sha256"),
        ("pq-certificate = \"always\"", "", "mldsa65"),
    ] {
        let several = Several::new(settings, &[(pki.leaf(&["localhost", "127.0.0.1"]), own)]).await;
        let signature = async |client| signature(&several, client).await;
        // OpenSSL from 3.5 offers ML-DSA by default.
        assert_eq!(signature(Client::new()).await, expected, "{settings} {own}");
        let only = Client::new().signatures("mldsa44:mldsa65");
        if expected == "mldsa65" {
            assert_eq!(signature(only).await, expected);
        } else {
            let refused = only.connect(several.sidecar.address).await;
            assert!(refused.is_err());
            let labels = [("reason", "no_common_signature_scheme")];
            several.sidecar.metric_is(FAILED, &labels, 1.0).await;
        }
        let classical = Client::new().signatures(CLASSICAL);
        assert_eq!(signature(classical).await, "ecdsa_secp256r1_sha256");
        // Another strength is another certificate.
        let other = Client::new().signatures(&format!("mldsa87:{CLASSICAL}"));
        assert_eq!(signature(other).await, "ecdsa_secp256r1_sha256");
        // A client that asks for no name gets the first pair, unless the other pair is for all of its names.
        let unnamed = signature(Client::new().named("")).await;
        let always = settings.contains("always");
        assert_eq!(unnamed == "mldsa65", always, "{settings} {own}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_offers_ml_dsa_and_lacks_its_root_fails_and_is_counted() {
    let pki = TestPki::new(Algorithm::MlDsa65);
    let pair = pki.leaf(&["localhost"]);
    let several = Several::new("", &[(pair, "names = [\"localhost\"]")]).await;
    let of_first = several.sidecar.pki.ca_pem().as_bytes();
    let refused = Client::new().trusting(of_first);
    assert!(refused.connect(several.sidecar.address).await.is_err());
    let labels = [("reason", "client_distrusts_us")];
    several.sidecar.metric_is(FAILED, &labels, 1.0).await;
    let both = [of_first, pki.ca_pem().as_bytes()].concat();
    let served = Client::new().trusting(&both);
    assert_eq!(signature(&several, served).await, "mldsa65");
    let classical = Client::new().trusting(of_first).signatures(CLASSICAL);
    assert_eq!(
        signature(&several, classical).await,
        "ecdsa_secp256r1_sha256"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rsa_beside_ecdsa_serves_clients_that_verify_one_of_them() {
    let pki = TestPki::new(Algorithm::Rsa2048);
    let several = Several::new("", &[(pki.leaf(&["localhost"]), "")]).await;
    for (schemes, expected) in [
        ("ECDSA+SHA256:RSA-PSS+SHA256", "ecdsa_secp256r1_sha256"),
        ("RSA-PSS+SHA256", "rsa_pss_rsae_sha256"),
    ] {
        let client = Client::new().signatures(schemes);
        assert_eq!(signature(&several, client).await, expected);
    }
}

#[test]
fn check_says_whom_an_ml_dsa_certificate_surprises() {
    let pki = TestPki::new(Algorithm::MlDsa65);
    let line = |text: &str| format!("listener `test`: certificate file /0/tls.crt: {text}");
    let surprised = line(
        "clients of `localhost` that offer ML-DSA get this one and not that of ECDSA P-256: Go from 1.27 and OpenSSL from 3.5 offer it by default, and fail unless they trust its root; give them the root first",
    );
    let never = line(
        "it is never served, because `localhost` has a certificate of ECDSA P-256 too: write names = [\"localhost\"] to it, or pq-certificate = \"always\"",
    );
    for (settings, own, expected) in [
        ("", "names = [\"localhost\"]", &surprised),
        ("pq-certificate = \"always\"", "", &surprised),
        ("", "", &never),
    ] {
        let further = [(pki.leaf(&["localhost"]), own)];
        assert_eq!(warnings(settings, &further), [expected.as_str()]);
    }
    let alone = [(pki.leaf(&["pq.test"]), "")];
    assert_eq!(warnings("", &alone), [""; 0]);
}
