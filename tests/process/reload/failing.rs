//! Failures that stand are gauges, which alerts follow until they are mended.

use super::{generation, reload};
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::{Setup, answering};
use hybridge::certgen::Algorithm;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const CREDENTIALS: &str = "hybridge_credential_reloads_failing";
const CONFIGURATION: &str = "hybridge_config_reload_failing";

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_counted_while_it_stands() {
    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("clients.crt");
    let pki = TestPki::new(Algorithm::EcdsaP256);
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    let setup = Setup::in_front_of(answering(ANSWER).await).tls(&format!(
        "client-auth = \"optional\"\nclient-ca = \"{}\"\nallow-any = true",
        ca.display()
    ));
    let process = Process::start(&setup).await;
    process.metric_is(CREDENTIALS, &[], 0.0).await;
    process.metric_is(CONFIGURATION, &[], 0.0).await;
    std::fs::write(&ca, "no PEM").unwrap();
    process.metric_is(CREDENTIALS, &[], 1.0).await;
    let key = process.dir.path().join("tls.key");
    let good = std::fs::read(&key).unwrap();
    std::fs::write(&key, "no key").unwrap();
    process.metric_is(CREDENTIALS, &[], 2.0).await;
    std::fs::write(&key, good).unwrap();
    process.metric_is(CREDENTIALS, &[], 1.0).await;
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    process.metric_is(CREDENTIALS, &[], 0.0).await;

    let good = setup.toml(&process.dir);
    reload(&process, "no = \"configuration\"");
    process.metric_is(CONFIGURATION, &[], 1.0).await;
    reload(
        &process,
        &good.replace("[listener.limits]", "[listener.limits]\nmax-streams = 7"),
    );
    generation(&process, 2).await;
    process.metric_is(CONFIGURATION, &[], 0.0).await;
}
