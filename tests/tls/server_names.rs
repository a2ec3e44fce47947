//! Several certificates of one listener: which one a client gets by the name it asks for.

use std::fmt::Write as _;

use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use hybridge::run::describe_certificates;
use tempfile::TempDir;

use crate::support::openssl::Client;
use crate::support::pki::{Pair, PairFiles, TestPki};
use crate::support::{Setup, Sidecar, answering};

pub(crate) const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const FAILED: &str = "hybridge_handshake_failures_total";
const UNRECOGNIZED_NAME: u8 = 112;

/// A listener with the pair of `localhost` and further ones.
pub(crate) struct Several {
    pub(crate) sidecar: Sidecar,
    pub(crate) files: Vec<PairFiles>,
    pub(crate) dir: TempDir,
}

/// A further pair, and what is written to it.
pub(crate) type Further = (Pair, &'static str);

impl Several {
    pub(crate) async fn new(settings: &str, further: &[Further]) -> Self {
        Self::beside(Algorithm::EcdsaP256, settings, further).await
    }

    /// With a first pair of this algorithm.
    pub(crate) async fn beside(first: Algorithm, settings: &str, further: &[Further]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (toml, files) = tables(&dir, further);
        let setup = Setup::in_front_of(answering(ANSWER).await).algorithm(first);
        Self {
            sidecar: setup.tls(&format!("{settings}\n{toml}")).start(),
            files,
            dir,
        }
    }

    /// The subject of the certificate that a client gets.
    pub(crate) async fn subject(&self, client: Client) -> String {
        client
            .connect(self.sidecar.address)
            .await
            .unwrap()
            .subject()
    }
}

/// The tables of further pairs, which are written below `dir`.
pub(crate) fn tables(dir: &TempDir, further: &[Further]) -> (String, Vec<PairFiles>) {
    let mut toml = String::new();
    let mut files = Vec::new();
    for (index, (pair, settings)) in further.iter().enumerate() {
        let place = dir.path().join(index.to_string());
        std::fs::create_dir(&place).unwrap();
        let at = pair.write_to(&place);
        let (cert, key) = (at.cert.display(), at.key.display());
        let _ = writeln!(
            toml,
            "[[listener.tls.certificate]]\ncert = \"{cert}\"\nkey = \"{key}\"\n{settings}"
        );
        files.push(at);
    }
    (toml, files)
}

/// What `check` warns about for the listener of [`Several::new`].
pub(crate) fn warnings(settings: &str, further: &[Further]) -> Vec<String> {
    warnings_beside(Algorithm::EcdsaP256, settings, further)
}

/// The same for [`Several::beside`].
pub(crate) fn warnings_beside(
    first: Algorithm,
    settings: &str,
    further: &[Further],
) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let pki = TestPki::new(first);
    pki.leaf(&["localhost", "127.0.0.1"]).write_to(dir.path());
    let (toml, _) = tables(&dir, further);
    let toml = Setup::in_front_of("127.0.0.1:1")
        .tls(&format!("{settings}\n{toml}"))
        .toml(&dir);
    let config = Config::parse("test.toml", &toml).unwrap();
    let place = dir.path().display().to_string();
    let (_, warnings) = describe_certificates(&config).unwrap();
    let of_pairs = warnings.iter().filter(|line| !line.contains("expires on"));
    of_pairs.map(|line| line.replace(&place, "")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_decides_exact_before_wildcard_and_the_first_is_for_all_others() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let several = Several::new(
        "",
        &[
            (pki.leaf(&["*.example.test"]), ""),
            (pki.leaf(&["chat.example.test", "talk.test"]), ""),
            (
                pki.leaf(&["written"]),
                "names = [\"w.example.test\", \"*.w.test\"]",
            ),
        ],
    )
    .await;
    for (name, subject) in [
        ("localhost", "localhost"),
        ("api.example.test", "*.example.test"),
        ("chat.example.test", "chat.example.test"),
        ("CHAT.Example.test", "chat.example.test"),
        ("talk.test", "chat.example.test"),
        ("w.example.test", "written"),
        ("a.w.test", "written"),
        // A written name replaces those in the certificate.
        ("written", "localhost"),
        ("a.b.example.test", "localhost"),
        ("example.test", "localhost"),
        ("elsewhere.test", "localhost"),
        ("", "localhost"),
    ] {
        let client = Client::new().named(name);
        assert_eq!(several.subject(client).await, subject, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_is_refused_where_that_is_written() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let further = [(pki.leaf(&["*.example.test"]), "")];
    for further in [&further[..], &[]] {
        let several = Several::new("unknown-name = \"refuse\"", further).await;
        let unknown = Client::new().named("elsewhere.test");
        for client in [unknown.clone(), unknown.byte_by_byte()] {
            let before = several.sidecar.metric(FAILED, &[]).await;
            let refused = client.connect(several.sidecar.address).await;
            let alert = refused.err().and_then(|refused| refused.alert);
            assert_eq!(alert, Some(UNRECOGNIZED_NAME));
            let labels = [("reason", "unknown_server_name")];
            let failed = several.sidecar.metric_is(FAILED, &labels, before + 1.0);
            failed.await;
        }
        for known in ["localhost", ""] {
            let client = Client::new().named(known);
            assert_eq!(several.subject(client).await, "localhost");
        }
        several.sidecar.metric_is(FAILED, &[], 2.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pair_is_reloaded_and_reported_by_itself() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let further = [(pki.leaf(&["one.test"]), ""), (pki.leaf(&["two.test"]), "")];
    let several = Several::new("", &further).await;
    let sidecar = &several.sidecar;
    let expiry = "hybridge_certificate_pair_expiry_timestamp_seconds";
    let cert = several.files[1].cert.display().to_string();
    let labels = [("listener", "test"), ("cert", cert.as_str())];
    let before = sidecar.metric(expiry, &labels).await;
    assert!(before > 1e9, "{before}");

    // A renewal may change the names.
    let now = time::OffsetDateTime::now_utc();
    let renewed = pki.leaf_valid(
        &["three.test"],
        now - time::Duration::hours(1),
        now + time::Duration::hours(2),
    );
    renewed.write_to(several.dir.path().join("1").as_path());
    let reload = sidecar.running.as_ref().unwrap().reload();
    reload.reload_now().await.unwrap();
    for (name, subject) in [
        ("two.test", "localhost"),
        ("three.test", "three.test"),
        ("one.test", "one.test"),
    ] {
        let client = Client::new().named(name);
        assert_eq!(several.subject(client).await, subject, "{name}");
    }
    let end = (now + time::Duration::hours(2)).unix_timestamp() as f64;
    assert_eq!(sidecar.metric(expiry, &labels).await, end);
    let first = sidecar
        .metric("hybridge_certificate_expiry_timestamp_seconds", &[])
        .await;
    assert_eq!(first, end);

    std::fs::write(&several.files[0].cert, "no certificate").unwrap();
    reload.reload_now().await.unwrap();
    let (code, ready) = sidecar.admin("/readyz").await;
    let at = several.files[0].cert.display().to_string();
    let said = format!("the last certificate reload {at} failed, the pair before it is served");
    assert!(code == 200 && ready.contains(&said), "{ready}");
    let (_, status) = sidecar.admin("/status").await;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let pairs = &status["listeners"][0]["certificates"];
    assert_eq!(pairs.as_array().map(Vec::len), Some(3));
    assert_eq!(pairs[1]["cert"], at.as_str());
    assert_eq!(pairs[1]["certificate"]["subject"], "CN=one.test");
    assert!(pairs[1]["error"].as_str().unwrap().contains("tls.crt"));
    assert_eq!(pairs[2]["certificate"]["names"][0], "three.test");
    assert_eq!(pairs[2]["error"], serde_json::Value::Null);
}

#[test]
fn check_warns_of_pairs_that_nobody_gets() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    assert_eq!(warnings("", &[(pki.leaf(&["one.test"]), "")]), [""; 0]);
    for (further, expected) in [
        (
            vec![(pki.leaf(&["one.test"]), "names = [\"two.test\"]")],
            "`two.test` is written to it and is no name of the certificate: clients refuse it",
        ),
        (
            vec![(pki.leaf(&["192.0.2.7"]), "")],
            "no client can ask for it, because it has no DNS name: have it issued with one",
        ),
        (
            vec![(pki.leaf(&["LOCALHOST"]), "")],
            "clients of `localhost` get the ECDSA P-256 certificate before it: remove one of the two",
        ),
    ] {
        let line = format!("listener `test`: certificate file /0/tls.crt: {expected}");
        assert_eq!(warnings("", &further), [line]);
    }
}
