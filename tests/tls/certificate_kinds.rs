//! Every kind of certificate, served to OpenSSL and verified there; and the suites it comes with.

use crate::support::openssl::Client;
use crate::support::{Setup, Sidecar, answering};
use hybridge::certgen::Algorithm;

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

const AES_128: &str = "TLS_AES_128_GCM_SHA256";
const AES_256: &str = "TLS_AES_256_GCM_SHA384";
const CHACHA20: &str = "TLS_CHACHA20_POLY1305_SHA256";

/// A request over a connection whose chain and name OpenSSL verified; the signature it saw.
async fn verified(algorithm: Algorithm) -> String {
    let setup = Setup::in_front_of(answering(EMPTY).await).algorithm(algorithm);
    let sidecar = setup.start();
    let client = Client::new().trusting(&sidecar.ca);
    let connected = client.connect(sidecar.address).await.unwrap();
    let signature = connected.signature();
    let answer = connected.finish(REQUEST).await.answer;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{algorithm:?}");
    signature
}

#[tokio::test(flavor = "multi_thread")]
async fn classical_certificates_are_verified_by_openssl() {
    for (algorithm, signature) in [
        (Algorithm::EcdsaP256, "ecdsa_secp256r1_sha256"),
        (Algorithm::EcdsaP384, "ecdsa_secp384r1_sha384"),
        (Algorithm::Ed25519, "ed25519"),
        (Algorithm::Rsa2048, "rsa_pss_rsae_sha256"),
    ] {
        let seen = verified(algorithm).await;
        if algorithm == Algorithm::Rsa2048 {
            assert!(seen.starts_with("rsa_pss_rsae_sha"), "{seen}");
        } else {
            assert_eq!(seen, signature);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ml_dsa_certificates_are_verified_by_openssl() {
    for (algorithm, signature) in [
        (Algorithm::MlDsa44, "mldsa44"),
        (Algorithm::MlDsa65, "mldsa65"),
        (Algorithm::MlDsa87, "mldsa87"),
    ] {
        assert_eq!(verified(algorithm).await, signature);
    }
}

async fn sidecar(tls: &str) -> Sidecar {
    Setup::in_front_of(answering(EMPTY).await).tls(tls).start()
}

async fn negotiated(sidecar: &Sidecar, suites: &[&str]) -> &'static str {
    let client = Client::new().suites(&suites.join(":"));
    client.connect(sidecar.address).await.unwrap().suite()
}

/// The cheapest suite of this CPU, whatever the client prefers.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_orders_the_suites_by_their_cost() {
    let cheapest = hybridge::tls::policy::Suite::by_cost()[0].name();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("aes") {
        assert_eq!(cheapest, AES_128);
    }
    let sidecar = sidecar("").await;
    let order = [AES_256, CHACHA20, AES_128];
    assert_eq!(negotiated(&sidecar, &order).await, cheapest);
    assert_eq!(negotiated(&sidecar, &[AES_256]).await, AES_256);
    assert_eq!(negotiated(&sidecar, &[CHACHA20]).await, CHACHA20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_list_of_suites_is_kept_to_and_in_its_order() {
    let both = [AES_128, AES_256, CHACHA20];
    let chacha = sidecar(&format!("cipher-suites = [\"{CHACHA20}\"]")).await;
    assert_eq!(negotiated(&chacha, &both).await, CHACHA20);
    let ordered = format!("cipher-suites = [\"{AES_256}\", \"{AES_128}\"]");
    let ordered = sidecar(&ordered).await;
    assert_eq!(negotiated(&ordered, &both).await, AES_256);
    assert_eq!(negotiated(&ordered, &[AES_128]).await, AES_128);
    let client = Client::new().suites(CHACHA20);
    let refused = client.connect(ordered.address).await.unwrap_err();
    assert_eq!(refused.alert, Some(40), "{refused:?}");
}
