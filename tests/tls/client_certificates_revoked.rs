//! Revocation lists: what they take away, and what they fail closed on.

use std::path::PathBuf;

use hybridge::certgen::Algorithm;
use hybridge::config::Config;
use rcgen::SerialNumber;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};

use crate::support::openssl::Client;
use crate::support::pki::{Pair, TestPki, ca_params, client};
use crate::support::{Setup, Sidecar, answering, eventually};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const FAILED: &str = "hybridge_handshake_failures_total";
const NEXT_UPDATE: &str = "hybridge_crl_next_update_timestamp_seconds";

const CERTIFICATE_REVOKED: u8 = 44;
const UNKNOWN_CA: u8 = 48;

/// A listener with a revocation list, and the files it reads.
struct Gate {
    sidecar: Sidecar,
    clients: TestPki,
    dir: TempDir,
}

fn tomorrow() -> OffsetDateTime {
    OffsetDateTime::now_utc() + Duration::days(1)
}

fn tls(dir: &TempDir) -> String {
    let dir = dir.path().display();
    format!(
        "client-auth = \"required\"\nclient-ca = \"{dir}/clients.crt\"\nclient-crl = \"{dir}/clients.crl\"\nallow-any = true"
    )
}

impl Gate {
    async fn new(list: impl Fn(&TestPki) -> Vec<u8>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clients = TestPki::new(Algorithm::EcdsaP256);
        std::fs::write(dir.path().join("clients.crt"), clients.ca_pem()).unwrap();
        std::fs::write(dir.path().join("clients.crl"), list(&clients)).unwrap();
        let sidecar = Setup::in_front_of(answering(ANSWER).await)
            .tls(&tls(&dir))
            .start();
        Self {
            sidecar,
            clients,
            dir,
        }
    }

    fn replace(&self, list: &str) {
        let next: PathBuf = self.dir.path().join("next");
        std::fs::write(&next, list).unwrap();
        std::fs::rename(next, self.dir.path().join("clients.crl")).unwrap();
    }

    fn numbered(&self, serial: u8) -> Pair {
        self.of_serial(vec![serial])
    }

    fn of_serial(&self, serial: Vec<u8>) -> Pair {
        let mut params = client(&[]);
        params.serial_number = Some(SerialNumber::from(serial));
        self.clients.issue(&params)
    }

    async fn try_with(&self, pair: &Pair) -> Result<(), Option<u8>> {
        let client = Client::new().presenting(&pair.cert, &pair.key);
        let connected = client.connect(self.sidecar.address).await.unwrap();
        connected.exchange(REQUEST).await.map(drop)
    }

    async fn refuses(&self, pair: &Pair, alert: u8, reason: &str) {
        assert_eq!(self.try_with(pair).await, Err(Some(alert)));
        let labels = [("reason", reason)];
        self.sidecar.metric_reaches(FAILED, &labels, 1.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_on_the_list_is_refused_and_the_list_is_reloaded() {
    let until = tomorrow();
    let gate = Gate::new(|ca| ca.revocation_list(&[7], until).into()).await;
    let (seven, eight) = (gate.numbered(7), gate.numbered(8));
    gate.refuses(&seven, CERTIFICATE_REVOKED, "client_certificate_revoked")
        .await;
    assert_eq!(gate.try_with(&eight).await, Ok(()));
    let next = gate
        .sidecar
        .metric(NEXT_UPDATE, &[("listener", "test")])
        .await;
    assert_eq!(next, until.unix_timestamp() as f64);

    let later = until + Duration::days(1);
    gate.replace(&gate.clients.revocation_list(&[8], later));
    eventually("the new list to count", async || {
        gate.try_with(&eight).await == Err(Some(CERTIFICATE_REVOKED))
    })
    .await;
    assert_eq!(gate.try_with(&seven).await, Ok(()));
    let next = later.unix_timestamp() as f64;
    gate.sidecar
        .metric_is(NEXT_UPDATE, &[("listener", "test")], next)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_in_der_takes_nobody_away_and_an_issuer_without_a_list_is_refused() {
    let gate = Gate::new(|ca| {
        let pem = ca.revocation_list(&[], tomorrow());
        let der = CertificateRevocationListDer::from_pem_slice(pem.as_bytes()).unwrap();
        der.to_vec()
    })
    .await;
    assert_eq!(gate.try_with(&gate.numbered(7)).await, Ok(()));
    // The intermediate has issued no list.
    let chain = gate
        .clients
        .chain_of(&ca_params("intermediate"), &client(&[]));
    gate.refuses(&chain, UNKNOWN_CA, "client_certificate_untrusted")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_out_of_date_refuses_everybody_and_says_so() {
    let yesterday = OffsetDateTime::now_utc() - Duration::days(1);
    let gate = Gate::new(|ca| ca.revocation_list(&[], yesterday).into()).await;
    gate.refuses(&gate.numbered(7), UNKNOWN_CA, "crl_stale")
        .await;
    let (status, page) = gate.sidecar.admin("/readyz").await;
    let said = "listener `test`: a revocation list of client-crl is out of date, the clients of its issuer are refused";
    assert!(status == 200 && page.contains(said), "{page}");
    gate.replace(&gate.clients.revocation_list(&[], tomorrow()));
    eventually("the new list to count", async || {
        gate.try_with(&gate.numbered(7)).await == Ok(())
    })
    .await;
    assert_eq!(
        gate.sidecar.admin("/readyz").await,
        (200, "ready\n".to_owned())
    );
}

/// By somebody of the same name: it must not be possible to take a certificate off the list that way.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_list_refuses_everybody() {
    let gate = Gate::new(|_| {
        let forger = TestPki::new(Algorithm::EcdsaP256);
        forger.revocation_list(&[], tomorrow()).into()
    })
    .await;
    gate.refuses(
        &gate.numbered(7),
        UNKNOWN_CA,
        "client_certificate_untrusted",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_a_list_is_refused_at_start_and_changes_nothing_later() {
    let dir = tempfile::tempdir().unwrap();
    let clients = TestPki::new(Algorithm::EcdsaP256);
    clients.leaf(&["localhost"]).write_to(dir.path());
    std::fs::write(dir.path().join("clients.crt"), clients.ca_pem()).unwrap();
    let path = dir.path().join("clients.crl");
    let toml = Setup::in_front_of("127.0.0.1:1").tls(&tls(&dir)).toml(&dir);
    let shown = path.display();
    for (text, message) in [
        ("", format!("client-crl: revocation list {shown} is empty")),
        (
            "none",
            format!("client-crl: {shown}: it holds no revocation list (`X509 CRL`)"),
        ),
        (
            clients.ca_pem(),
            format!(
                "client-crl: {shown}: PEM block 1 (line 1) is `CERTIFICATE`, not a revocation list (`X509 CRL`)"
            ),
        ),
        (
            "0none",
            format!("client-crl: {shown}: it is no revocation list that can be read: "),
        ),
    ] {
        std::fs::write(&path, text).unwrap();
        let config = Config::parse("test.toml", &toml).unwrap();
        let error = hybridge::run::Sidecar::start(config)
            .err()
            .unwrap()
            .to_string();
        let expected = format!("listener `test`: {message}");
        assert!(error.starts_with(&expected), "{error}");
    }
    std::fs::write(&path, vec![b'-'; (1 << 20) + 1]).unwrap();
    let config = Config::parse("test.toml", &toml).unwrap();
    let error = hybridge::run::Sidecar::start(config)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("is larger than 1048576 bytes"), "{error}");

    let gate = Gate::new(|ca| ca.revocation_list(&[7], tomorrow()).into()).await;
    gate.replace("none");
    eventually("the failure to be said", async || {
        let (_, page) = gate.sidecar.admin("/status").await;
        page.contains("it holds no revocation list")
    })
    .await;
    assert_eq!(gate.try_with(&gate.numbered(8)).await, Ok(()));
    let refused = gate.try_with(&gate.numbered(7)).await;
    assert_eq!(refused, Err(Some(CERTIFICATE_REVOKED)));
}

/// As many as a list below 1 MiB of PEM has room for, with serial numbers of 16 bytes as CAs give them.
const MANY: u32 = 20_000;

fn serial(number: u32) -> Vec<u8> {
    [&[0x55; 12][..], &number.to_be_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_twenty_thousand_certificates_is_read_to_its_end() {
    let gate = Gate::new(|ca| {
        ca.revocation_list_of((0..MANY).map(serial), tomorrow())
            .into()
    })
    .await;
    for listed in [0, MANY / 2, MANY - 1] {
        let pair = gate.of_serial(serial(listed));
        gate.refuses(&pair, CERTIFICATE_REVOKED, "client_certificate_revoked")
            .await;
    }
    assert_eq!(gate.try_with(&gate.of_serial(serial(MANY))).await, Ok(()));
}

/// Prints what a handshake costs with a short and with a long list.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures"]
#[allow(clippy::print_stdout)]
async fn handshakes_with_long_lists() {
    const COMPUTE: &str = "hybridge_handshake_compute_seconds";
    for entries in [0, 1_000, MANY] {
        let list = |ca: &TestPki| ca.revocation_list_of((0..entries).map(serial), tomorrow());
        let gate = Gate::new(|ca| list(ca).into()).await;
        let pair = gate.of_serial(serial(MANY));
        let mut before = [0.0; 2];
        for round in 0..2 {
            for _ in 0..500 {
                assert_eq!(gate.try_with(&pair).await, Ok(()));
            }
            let sum = gate.sidecar.metric(&format!("{COMPUTE}_sum"), &[]).await;
            let count = gate.sidecar.metric(&format!("{COMPUTE}_count"), &[]).await;
            // The first round warms up.
            if round == 1 {
                let each = (sum - before[0]) / (count - before[1]);
                let bytes = list(&gate.clients).len();
                println!(
                    "{entries} entries ({bytes} bytes of PEM): {:.0} µs",
                    each * 1e6
                );
            }
            before = [sum, count];
        }
    }
}
