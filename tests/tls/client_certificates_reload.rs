//! CAs for clients are replaced while the listener runs; a file that cannot be used changes nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hybridge::certgen::Algorithm;
use rcgen::KeyPair;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, uri};
use crate::support::process::Process;
use crate::support::{Setup, Sidecar, answering, eventually};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";

/// A file of CAs that is replaced as cert-manager and kubelet do: by a rename.
struct CaBundle {
    dir: TempDir,
    old: TestPki,
    new: TestPki,
}

impl CaBundle {
    fn new() -> Self {
        let cas = Self {
            dir: tempfile::tempdir().unwrap(),
            old: TestPki::new(Algorithm::EcdsaP256),
            new: TestPki::new(Algorithm::EcdsaP256),
        };
        cas.write(cas.old.ca_pem());
        cas
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("clients.crt")
    }

    fn write(&self, text: &str) {
        let next = self.dir.path().join("next");
        std::fs::write(&next, text).unwrap();
        std::fs::rename(next, self.path()).unwrap();
    }

    async fn setup(&self) -> Setup {
        let ca = self.path();
        Setup::in_front_of(answering(ANSWER).await).tls(&format!(
            "client-auth = \"required\"\nclient-ca = \"{}\"\nallow-uri = [\"{BATCH}\"]",
            ca.display()
        ))
    }
}

async fn is_served(sidecar: &Sidecar, pair: &Pair) -> bool {
    let client = Client::new().presenting(&pair.cert, &pair.key);
    let connected = client.connect(sidecar.address).await.unwrap();
    connected.exchange(REQUEST).await.is_ok()
}

async fn client_auth(sidecar: &Sidecar) -> serde_json::Value {
    let (_, page) = sidecar.admin("/status").await;
    let status: serde_json::Value = serde_json::from_str(&page).unwrap();
    status["listeners"][0]["client_auth"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_is_added_and_removed_without_a_failure_of_who_may_in_at_the_time() {
    let cas = CaBundle::new();
    let sidecar = Arc::new(cas.setup().await.start());
    let old = cas.old.client(&[uri(BATCH)]);
    let new = cas.new.client(&[uri(BATCH)]);
    assert!(!is_served(&sidecar, &new).await);

    let (over, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load = tokio::spawn({
        let (sidecar, old) = (Arc::clone(&sidecar), old.clone());
        let (over, served) = (Arc::clone(&over), Arc::clone(&served));
        async move {
            while !over.load(Ordering::SeqCst) {
                assert!(is_served(&sidecar, &old).await, "refused while it may in");
                served.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let generation = client_auth(&sidecar).await["generation"].clone();
    cas.write(&(cas.old.ca_pem().to_owned() + cas.new.ca_pem()));
    eventually("the new CA to be trusted", async || {
        is_served(&sidecar, &new).await
    })
    .await;
    assert_ne!(client_auth(&sidecar).await["generation"], generation);
    let so_far = served.load(Ordering::SeqCst);
    eventually("more handshakes", async || {
        served.load(Ordering::SeqCst) > so_far
    })
    .await;
    over.store(true, Ordering::SeqCst);
    load.await.unwrap();

    cas.write(cas.new.ca_pem());
    eventually("the old CA to be forgotten", async || {
        !is_served(&sidecar, &old).await
    })
    .await;
    assert!(is_served(&sidecar, &new).await);
    let reloads = "hybridge_credential_reloads_total";
    sidecar.metric_is(reloads, &[("result", "ok")], 2.0).await;
    sidecar
        .metric_is(reloads, &[("result", "failed")], 0.0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_leaves_the_last_good_one_and_is_said() {
    let cas = CaBundle::new();
    let sidecar = cas.setup().await.start();
    let old = cas.old.client(&[uri(BATCH)]);
    let good = client_auth(&sidecar).await;
    assert_eq!(good["mode"], "required");
    assert_eq!(good["error"], serde_json::Value::Null);
    let leaf = {
        let key = KeyPair::generate().unwrap();
        crate::support::pki::client(&[])
            .self_signed(&key)
            .unwrap()
            .pem()
    };
    for (text, message) in [(leaf.as_str(), "is not a CA"), ("", "is empty")] {
        cas.write(text);
        eventually("the failure to be said", async || {
            client_auth(&sidecar).await["error"]
                .to_string()
                .contains(message)
        })
        .await;
        assert_eq!(
            client_auth(&sidecar).await["generation"],
            good["generation"]
        );
        let (status, page) = sidecar.admin("/readyz").await;
        assert_eq!(status, 200);
        let said = "listener `test`: the last reload of the CAs for clients failed, those before it decide: client-ca: ";
        assert!(page.contains(said) && page.contains(message), "{page}");
        assert!(is_served(&sidecar, &old).await);
    }
    cas.write(cas.old.ca_pem());
    eventually("the failure to be forgotten", async || {
        client_auth(&sidecar).await == good
    })
    .await;
    assert_eq!(sidecar.admin("/readyz").await, (200, "ready\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_of_a_pod_waits_for_usable_cas_and_meanwhile_lets_nobody_in() {
    let cas = CaBundle::new();
    let batch = cas.old.client(&[uri(BATCH)]);
    cas.write("");
    let ca = cas.path();
    let setup = Setup::in_front_of(answering(ANSWER).await).tls(&format!(
        "wait-for-certificate = true\nclient-auth = \"required\"\nclient-ca = \"{}\"\nallow-uri = [\"{BATCH}\"]",
        ca.display()
    ));
    let sidecar = setup.start();
    assert!(!is_served(&sidecar, &batch).await);
    let bare = Client::new().connect(sidecar.address).await.unwrap();
    assert!(bare.exchange(REQUEST).await.is_err());
    assert_eq!(sidecar.admin("/startupz").await.0, 200);
    let (status, page) = sidecar.admin("/readyz").await;
    assert_eq!(status, 503);
    let said = "listener `test`: there are no usable CAs for clients yet: client-ca: ";
    assert!(page.contains(said) && page.contains("is empty"), "{page}");

    cas.write(cas.old.ca_pem());
    eventually("the CAs to be trusted", async || {
        is_served(&sidecar, &batch).await
    })
    .await;
    assert_eq!(sidecar.admin("/readyz").await, (200, "ready\n".to_owned()));
    let bare = Client::new().connect(sidecar.address).await.unwrap();
    assert!(bare.exchange(REQUEST).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hangup_signal_asks_for_a_look() {
    let cas = CaBundle::new();
    let process = Process::start(&cas.setup().await).await;
    process.signal(Signal::HUP);
    process.logs("authorities for clients unchanged").await;
}
