//! Two certificates of one name: what the client can verify decides, and ML-DSA is opt-in.

use hybridge::certgen::Algorithm;

use crate::server_names::{Several, warnings, warnings_beside};
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
        "clients of `localhost` never get it, because there is a certificate of ECDSA P-256 for that name too: write names = [\"localhost\"] to it, or write pq-certificate = \"always\"",
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

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_serves_whom_the_exact_certificate_is_not_for() {
    let (classical, pq) = (
        TestPki::new(Algorithm::EcdsaP256),
        TestPki::new(Algorithm::MlDsa65),
    );
    let ecdsa = "ecdsa_secp256r1_sha256";
    for (settings, own, expected) in [
        ("", "", ecdsa),
        ("", "names = [\"api.example.test\"]", "mldsa65"),
        ("pq-certificate = \"always\"", "", "mldsa65"),
    ] {
        let further = [
            (classical.leaf(&["*.example.test"]), ""),
            (pq.leaf(&["api.example.test"]), own),
        ];
        let several = Several::new(settings, &further).await;
        for (name, both) in [("api.example.test", expected), ("x.example.test", ecdsa)] {
            let client = Client::new().named(name);
            let only_classical = client.clone().signatures(CLASSICAL);
            assert_eq!(signature(&several, client).await, both, "{settings} {own}");
            assert_eq!(signature(&several, only_classical).await, ecdsa);
        }
        let said = warnings(settings, &further);
        let [line] = said.as_slice() else {
            panic!("{said:?}")
        };
        let of = if expected == ecdsa {
            "/1/tls.crt: clients of `api.example.test` never get it"
        } else {
            "/1/tls.crt: clients of `api.example.test` that offer ML-DSA get this one"
        };
        assert!(line.contains(of), "{line}");
    }
    // Between certificates that a client verifies, the exact name wins, whatever the algorithm.
    let further = [
        (pq.leaf(&["*.example.test"]), ""),
        (classical.leaf(&["api.example.test"]), ""),
    ];
    let several = Several::new("pq-certificate = \"always\"", &further).await;
    let client = Client::new().named("api.example.test");
    assert_eq!(signature(&several, client).await, ecdsa);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_ask_for_no_name_are_served_behind_a_first_ml_dsa_certificate() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let ecdsa = "ecdsa_secp256r1_sha256";
    let (all, some) = (&["localhost", "127.0.0.1"][..], &["localhost"][..]);
    for (settings, names, unnamed) in [
        ("", all, ecdsa),
        ("pq-certificate = \"always\"", all, "mldsa65"),
        // A certificate that lacks a name of the first one does not stand in for it.
        ("", some, "mldsa65"),
    ] {
        let further = [(pki.leaf(names), "")];
        let several = Several::beside(Algorithm::MlDsa65, settings, &further).await;
        let client = Client::new().named("");
        let only_classical = client.clone().signatures(CLASSICAL);
        let served = only_classical.connect(several.sidecar.address).await;
        assert_eq!(served.is_ok(), names == all, "{settings} {names:?}");
        assert_eq!(signature(&several, client).await, unnamed, "{settings}");
    }
    let said = warnings_beside(Algorithm::MlDsa65, "", &[(pki.leaf(some), "")]);
    let [line] = said.as_slice() else {
        panic!("{said:?}")
    };
    let never = "certificate file /tls.crt: clients of `localhost` never get it";
    let remedy =
        "[[listener.tls.certificate]] with names = [\"localhost\"] and put the other one first";
    assert!(line.contains(never) && line.contains(remedy), "{line}");
}
