//! `wait-for-certificate` waits at the start. Where something is in use, a file that cannot be used refuses
//! another configuration.

use super::{configuration, generation, reload};
use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, uri};
use crate::support::process::Process;
use crate::support::{Setup, answering};
use hybridge::certgen::Algorithm;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";

async fn is_served(process: &Process, pair: &Pair) -> bool {
    let client = Client::new().presenting(&pair.cert, &pair.key);
    let connected = client.connect(process.address).await.unwrap();
    connected.exchange(REQUEST).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_refuses_the_configuration_and_nothing_in_use_is_lost() {
    let files = tempfile::tempdir().unwrap();
    let [ca, keys] = ["clients.crt", "tickets"].map(|name| files.path().join(name));
    let pki = TestPki::new(Algorithm::EcdsaP256);
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    let setup = |ids: &str, more: &str| {
        let mode = "wait-for-certificate = true\nclient-auth = \"required\"";
        let ca = format!("client-ca = \"{}\"\nallow-uri = [{ids}]", ca.display());
        format!("{mode}\n{ca}\n{more}")
    };
    let upstream = answering(ANSWER).await;
    let with = |tls: &str| Setup::in_front_of(upstream).tls(tls);
    let now = setup(&format!("\"{BATCH}\""), "");
    let process = Process::start(&with(&now)).await;
    let batch = pki.client(&[uri(BATCH)]);
    assert!(is_served(&process, &batch).await);

    let refused = async |tls: &str, says: &str, count: f64| {
        reload(&process, tls);
        let failed = [("result", "failed")];
        process
            .metric_is("hybridge_config_reloads_total", &failed, count)
            .await;
        let now = configuration(&process).await;
        assert_eq!(now["generation"], 1, "{now}");
        assert!(now["error"].to_string().contains(says), "{now}");
        assert!(is_served(&process, &batch).await);
        assert_eq!(process.admin("/readyz").await.0, 200);
    };
    // A key file that is not there.
    let tickets = setup(
        &format!("\"{BATCH}\""),
        &format!("ticket-keys = \"{}\"", keys.display()),
    );
    refused(&with(&tickets).toml(&process.dir), "tickets", 1.0).await;
    // A certificate that is not there.
    let elsewhere = with(&now).toml(&process.dir).replace("tls.crt", "none.crt");
    refused(&elsewhere, "none.crt", 2.0).await;
    // CAs that cannot be read, and other rules.
    std::fs::write(&ca, "no PEM").unwrap();
    let other = setup(&format!("\"{BATCH}\", \"{BATCH}/night\""), "");
    refused(&with(&other).toml(&process.dir), "clients.crt", 3.0).await;
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    reload(&process, &with(&other).toml(&process.dir));
    generation(&process, 2).await;
    assert!(is_served(&process, &batch).await);
}

/// One pair of a listener is waited for, the other serves: only the first may be missing at a reload.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_serves_is_not_waited_for_because_another_is() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing").display().to_string();
    let upstream = answering(ANSWER).await;
    let pairs = format!(
        "wait-for-certificate = true\n[[listener.tls.certificate]]\ncert = \"{missing}/tls.crt\"\nkey = \"{missing}/tls.key\"\nnames = [\"other.example.org\"]"
    );
    let with = |limits: &str| Setup::in_front_of(upstream).tls(&pairs).limits(limits);
    let process = Process::start(&with("")).await;
    let served = async || {
        let connected = Client::new().connect(process.address).await.unwrap();
        connected.exchange(REQUEST).await.is_ok()
    };
    assert!(served().await);
    // What is waited for may be waited for on.
    reload(&process, &with("max-streams = 7").toml(&process.dir));
    generation(&process, 2).await;
    assert!(served().await);
    // What serves may not be missing.
    let dir = process.dir.path().display();
    let there = with("max-streams = 8").toml(&process.dir);
    let toml = there.replace(&format!("{dir}/tls.crt"), &format!("{dir}/none.crt"));
    reload(&process, &toml);
    let failed = [("result", "failed")];
    let reloads = "hybridge_config_reloads_total";
    process.metric_is(reloads, &failed, 1.0).await;
    let now = configuration(&process).await;
    assert_eq!(now["generation"], 2, "{now}");
    assert!(now["error"].to_string().contains("none.crt"), "{now}");
    assert!(served().await);
}
