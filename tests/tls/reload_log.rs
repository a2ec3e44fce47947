//! What the log says of certificate reloads. In a process of its own: a subscriber installed while
//! other tests log in parallel can miss their call sites, and so its own.

use std::io;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::support::pki::TestPki;
use hybridge::certgen::Algorithm;
use hybridge::tls::credentials::{CertificateFacts, rfc3339};
use hybridge::tls::reload::{
    CredentialStore, Outcome, ReloadError, ReloadObserver, ReloadSettings, Reloader,
};
use tempfile::TempDir;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Nobody;

impl ReloadObserver for Nobody {
    fn reloaded(&self, _store: &CredentialStore, _result: Result<&CertificateFacts, &ReloadError>) {
    }
}

/// Set in the process that this test starts of itself.
const ALONE: &str = "HYBRIDGE_TEST_ALONE";

#[test]
fn each_change_is_one_line_in_the_log() {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        return runtime.unwrap().block_on(changes());
    }
    let name = "reload_log::each_change_is_one_line_in_the_log";
    let alone = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(
        alone.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&alone.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
}

async fn changes() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .init();

    let (pki, dir) = (TestPki::new(Algorithm::EcdsaP256), TempDir::new().unwrap());
    pki.leaf(&["first.test"]).write_to(dir.path());
    // By way of links out of another directory, so that no watch is faster than the requests.
    let links = TempDir::new().unwrap();
    let [cert, key] = ["tls.crt", "tls.key"].map(|name| {
        let link = links.path().join(name);
        symlink(dir.path().join(name), &link).unwrap();
        link
    });
    let store = Arc::new(CredentialStore::load(&cert, &key).unwrap());
    let settings = ReloadSettings::default();
    let (reloader, handle) = Reloader::new(vec![store.clone()], settings, Arc::new(Nobody));
    tokio::spawn(reloader.run());

    let outcome = handle.reload_now().await.unwrap();
    assert_eq!(outcome, [Outcome::Unchanged]);
    let cert = cert.display();
    let prefix = "hybridge::tls::reload::look:";
    let unchanged = format!(" INFO {prefix} certificate unchanged cert={cert}");
    assert_eq!(log.lines(), std::slice::from_ref(&unchanged));

    pki.leaf(&["second.test"]).write_to(dir.path());
    let outcome = handle.reload_now().await.unwrap();
    assert_eq!(outcome, [Outcome::Reloaded]);
    let current = store.current().unwrap();
    let facts = current.facts();
    let reloaded = format!(
        " INFO {prefix} certificate reloaded cert={cert} subject=CN=second.test not_after={} sha256={}",
        rfc3339(facts.not_after),
        facts.sha256
    );
    assert_eq!(log.lines(), [unchanged.clone(), reloaded.clone()]);

    pki.expired(&["third.test"]).write_to(dir.path());
    let outcome = handle.reload_now().await.unwrap();
    let [Outcome::Failed(error)] = outcome.as_slice() else {
        panic!("an expired pair was taken: {outcome:?}");
    };
    let failed = format!(
        " WARN {prefix} certificate not reloaded, the last good one stays in use cert={cert} \
         reason=\"expired\" error={}",
        error.message
    );
    assert_eq!(log.lines(), [unchanged, reloaded, failed]);
}
