//! `signatures`: which kinds of signature count in what clients present.

use hybridge::certgen::Algorithm;
use tempfile::TempDir;

use crate::server_names::ANSWER;
use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, uri};
use crate::support::{Setup, Sidecar, answering};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const FAILED: &str = "hybridge_handshake_failures_total";
const CERTIFICATE_REQUIRED: u8 = 116;

async fn listener(signatures: &str, mode: &str, cas: &[&TestPki]) -> (Sidecar, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("clients.crt");
    let pem: String = cas.iter().map(|pki| pki.ca_pem()).collect();
    std::fs::write(&ca, pem).unwrap();
    let ca = ca.display();
    let tls = format!(
        "client-auth = \"{mode}\"\nclient-ca = \"{ca}\"\nallow-any = true\nsignatures = \"{signatures}\""
    );
    let setup = Setup::in_front_of(answering(ANSWER).await);
    (setup.tls(&tls).start(), dir)
}

async fn result(sidecar: &Sidecar, pair: &Pair) -> Result<(), Option<u8>> {
    let client = Client::new().presenting(&pair.cert, &pair.key);
    let connected = client.connect(sidecar.address).await.unwrap();
    connected.exchange(REQUEST).await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classical_identity_counts_only_where_it_may() {
    let classical = TestPki::new(Algorithm::EcdsaP256);
    let post_quantum = TestPki::new(Algorithm::MlDsa65);
    let name = [uri("spiffe://example.org/batch")];
    let (old, new) = (classical.client(&name), post_quantum.client(&name));
    for (signatures, expected) in [
        ("any", Ok(())),
        ("pq-preferred", Ok(())),
        ("pq-required", Err(Some(CERTIFICATE_REQUIRED))),
    ] {
        let (sidecar, _dir) = listener(signatures, "required", &[&classical, &post_quantum]).await;
        assert_eq!(result(&sidecar, &new).await, Ok(()), "{signatures}");
        assert_eq!(result(&sidecar, &old).await, expected, "{signatures}");
    }
}

/// The key of the client is not enough: who certified it could be forged.
#[tokio::test(flavor = "multi_thread")]
async fn an_ml_dsa_key_that_a_classical_ca_certified_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let args = |words: &[&str]| {
        let dir = dir.path().to_str().unwrap().to_owned();
        let mut all = vec!["certs".to_owned(), "--dir".to_owned(), dir];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all
    };
    issue(&args(&[]));
    issue(&args(&["--client", "batch", "--algorithm", "ml-dsa-65"]));
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let pair = Pair {
        cert: read("client-batch.crt"),
        key: read("client-batch.key"),
    };
    // Beside a CA that `pq-required` has a use for: without one the file would be refused.
    let ca = dir.path().join("both.crt");
    let other = TestPki::new(Algorithm::MlDsa65);
    std::fs::write(&ca, read("ca.crt") + other.ca_pem()).unwrap();
    for (signatures, served) in [("any", true), ("pq-required", false)] {
        let tls = format!(
            "client-auth = \"required\"\nclient-ca = \"{}\"\nallow-cn = [\"batch\"]\nsignatures = \"{signatures}\"",
            ca.display()
        );
        let sidecar = Setup::in_front_of(answering(ANSWER).await)
            .tls(&tls)
            .start();
        let result = result(&sidecar, &pair).await;
        assert_eq!(result.is_ok(), served, "{signatures}: {result:?}");
        if !served {
            let labels = [("reason", "client_certificate_untrusted")];
            sidecar.metric_is(FAILED, &labels, 1.0).await;
        }
    }
}

fn issue(words: &[String]) {
    use clap::Parser;
    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: hybridge::certgen::Args,
    }
    hybridge::certgen::run(&Command::parse_from(words).args).unwrap();
}
