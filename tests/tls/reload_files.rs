//! Replacing certificate files under a running reloader: what is taken, what is refused, what is
//! counted, and what connections get meanwhile.

mod dates;
mod reloader;
mod silent;
mod unwatched;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use std::{fs, io};

use crate::support::pki::{Pair, PairFiles, TestPki};
use hybridge::certgen::Algorithm;
use hybridge::tls::credentials::{CertificateFacts, CredentialError, Credentials};
use hybridge::tls::reload::{
    CredentialStore, Health, Outcome, ReloadError, ReloadHandle, ReloadObserver, ReloadSettings,
    Reloader,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_hours(1);

/// Looks at the files for no other reason than the watch.
const WATCH_ONLY: ReloadSettings = ReloadSettings {
    debounce: Duration::from_millis(20),
    recheck: NEVER,
    settle: DEADLINE,
    patience: DEADLINE,
};

/// Waits for half a pair to become whole, but not for long.
const BRIEF: ReloadSettings = ReloadSettings {
    settle: Duration::from_millis(200),
    ..WATCH_ONLY
};

/// Takes what comes first, and does not wait for a pair to become whole.
const IMPATIENT: ReloadSettings = ReloadSettings {
    settle: Duration::ZERO,
    ..WATCH_ONLY
};

const OFTEN: ReloadSettings = ReloadSettings {
    recheck: Duration::from_millis(50),
    ..IMPATIENT
};

/// Every reload that was counted: the subject of the new certificate, or the reason of the failure.
#[derive(Default)]
struct Counted(Mutex<Vec<Result<String, &'static str>>>);

impl Counted {
    fn all(&self) -> Vec<Result<String, &'static str>> {
        self.0.lock().unwrap().clone()
    }
}

impl ReloadObserver for Counted {
    fn reloaded(&self, _store: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>) {
        let entry = match result {
            Ok(facts) => Ok(facts.subject.clone()),
            Err(error) => Err(error.reason),
        };
        self.0.lock().unwrap().push(entry);
    }
}

/// One store under a running reloader.
struct Running {
    pki: TestPki,
    dir: TempDir,
    files: PairFiles,
    store: Arc<CredentialStore>,
    handle: ReloadHandle,
    counted: Arc<Counted>,
}

impl Running {
    /// Serves `first.test` from plain files, once the reloader has had its first look.
    async fn start(settings: ReloadSettings) -> Self {
        let (pki, dir) = (TestPki::new(Algorithm::EcdsaP256), TempDir::new().unwrap());
        let files = pki.leaf(&["first.test"]).write_to(dir.path());
        Self::with(pki, dir, files, settings).await
    }

    async fn with(pki: TestPki, dir: TempDir, files: PairFiles, settings: ReloadSettings) -> Self {
        let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
        let (handle, counted) = run(vec![Arc::clone(&store)], settings);
        let running = Self {
            pki,
            dir,
            files,
            store,
            handle,
            counted,
        };
        assert_eq!(running.reload_now().await, Outcome::Unchanged);
        running
    }

    /// Replaces each file by a rename, certificate first.
    fn replace(&self, pair: &Pair) {
        replace(&self.files.cert, &pair.cert);
        replace(&self.files.key, &pair.key);
    }

    async fn reload_now(&self) -> Outcome {
        self.handle.reload_now().await.unwrap().remove(0)
    }

    fn subject(&self) -> String {
        self.store.current().unwrap().facts().subject.clone()
    }

    async fn serves(&self, subject: &str) {
        until(|| self.subject() == subject).await;
    }
}

fn run(
    stores: Vec<Arc<CredentialStore>>,
    settings: ReloadSettings,
) -> (ReloadHandle, Arc<Counted>) {
    let counted = Arc::new(Counted::default());
    let (reloader, handle) = Reloader::new(stores, settings, Arc::clone(&counted) as _);
    tokio::spawn(reloader.run());
    (handle, counted)
}

fn replace(path: &Path, content: &str) {
    let temporary = path.with_extension("new");
    fs::write(&temporary, content).unwrap();
    fs::rename(&temporary, path).unwrap();
}

async fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen in time");
        sleep(Duration::from_millis(5)).await;
    }
}

fn ok(subject: &str) -> Result<String, &'static str> {
    Ok(subject.to_owned())
}

fn failed(outcome: Outcome) -> ReloadError {
    match outcome {
        Outcome::Failed(error) => error,
        other => panic!("expected a failure, not {other:?}"),
    }
}

#[tokio::test]
async fn a_new_pair_is_taken_as_soon_as_its_files_are_renamed_into_place() {
    let running = Running::start(WATCH_ONLY).await;
    running.replace(&running.pki.leaf(&["second.test"]));
    running.serves("CN=second.test").await;
    until(|| !running.counted.all().is_empty()).await;
    assert_eq!(running.counted.all(), [ok("CN=second.test")]);
    assert_eq!(running.store.last_error(), None);
}

#[tokio::test]
async fn a_new_pair_is_taken_when_its_files_are_written_in_place() {
    let running = Running::start(WATCH_ONLY).await;
    let pair = running.pki.leaf(&["second.test"]);
    fs::write(&running.files.cert, pair.cert).unwrap();
    fs::write(&running.files.key, pair.key).unwrap();
    running.serves("CN=second.test").await;
}

/// A projected volume as the kubelet lays it out.
struct Volume<'a>(&'a Path);

impl Volume<'_> {
    fn links(&self) -> PairFiles {
        for name in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(name), self.0.join(name)).unwrap();
        }
        PairFiles {
            cert: self.0.join("tls.crt"),
            key: self.0.join("tls.key"),
        }
    }

    /// Writes a generation, swaps `..data` to it, and removes the former one at once.
    fn publish(&self, generation: &str, pair: &Pair) {
        let data = self.0.join("..data");
        let former = fs::read_link(&data).ok();
        let directory = self.0.join(generation);
        fs::create_dir(&directory).unwrap();
        pair.write_to(&directory);
        let temporary = self.0.join("..data_tmp");
        symlink(generation, &temporary).unwrap();
        fs::rename(&temporary, &data).unwrap();
        if let Some(former) = former {
            fs::remove_dir_all(self.0.join(former)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_swap_of_the_data_link_of_a_kubernetes_volume_is_taken() {
    let (pki, dir) = (TestPki::new(Algorithm::EcdsaP256), TempDir::new().unwrap());
    let files = Volume(dir.path()).links();
    Volume(dir.path()).publish("..2026_11_22_1", &pki.leaf(&["first.test"]));
    let running = Running::with(pki, dir, files, WATCH_ONLY).await;
    for (generation, name) in [
        ("..2026_11_22_2", "second.test"),
        ("..2026_11_22_3", "third.test"),
    ] {
        let pair = running.pki.leaf(&[name]);
        Volume(running.dir.path()).publish(generation, &pair);
        running.serves(&format!("CN={name}")).await;
    }
    until(|| running.counted.all().len() == 2).await;
    assert_eq!(
        running.counted.all(),
        [ok("CN=second.test"), ok("CN=third.test")]
    );
}

#[test]
fn a_pair_read_while_generations_change_never_mixes_two() {
    let (pki, dir) = (TestPki::new(Algorithm::EcdsaP256), TempDir::new().unwrap());
    let files = Volume(dir.path()).links();
    let pairs = [pki.leaf(&["even.test"]), pki.leaf(&["odd.test"])];
    Volume(dir.path()).publish("..0", &pairs[0]);
    let stop = AtomicBool::new(false);
    let reasons = std::thread::scope(|scope| {
        scope.spawn(|| {
            for generation in (1..).take_while(|_| !stop.load(Ordering::Relaxed)) {
                Volume(dir.path()).publish(&format!("..{generation}"), &pairs[generation % 2]);
            }
        });
        let loads = (0..300).map(|_| Credentials::load(&files.cert, &files.key));
        let reasons: Vec<_> = loads
            .map(|load| load.map_err(|e| e.reason()).err())
            .collect();
        stop.store(true, Ordering::Relaxed);
        reasons
    });
    assert!(reasons.contains(&None), "not one load succeeded");
    // A volume that is replaced under the reader time and again is unreadable, never mixed.
    let mut mixed = reasons
        .into_iter()
        .flatten()
        .filter(|reason| *reason != "unreadable");
    assert_eq!(mixed.next(), None);
}

#[tokio::test]
async fn a_broken_pair_keeps_the_old_one_and_a_good_one_recovers() {
    let running = Running::start(OFTEN).await;
    replace(&running.files.cert, "not a certificate");
    until(|| running.store.last_error().is_some()).await;
    let error = running.store.last_error().unwrap();
    assert_eq!(error.reason, "malformed");
    assert_eq!(
        error.message,
        format!(
            "certificate file {} is not PEM: there is no `-----BEGIN …-----` line in it",
            running.files.cert.display()
        )
    );
    assert_eq!(running.subject(), "CN=first.test");
    assert_eq!(
        running.store.health(SystemTime::now()),
        Health::Stale(error)
    );

    running.replace(&running.pki.leaf(&["second.test"]));
    running.serves("CN=second.test").await;
    until(|| running.counted.all().contains(&ok("CN=second.test"))).await;
    assert_eq!(running.store.last_error(), None);
    assert_eq!(running.store.health(SystemTime::now()), Health::Good);
}

#[tokio::test]
async fn a_failure_is_counted_once_however_often_the_files_are_looked_at() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let [broken, beside, links] = [(), (), ()].map(|()| TempDir::new().unwrap());
    let broken_files = pki.leaf(&["first.test"]).write_to(broken.path());
    pki.leaf(&["first.test"]).write_to(beside.path());
    let beside_files = linked(beside.path(), links.path());
    let [broken_store, beside_store] = [&broken_files, &beside_files]
        .map(|files| Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap()));
    let patient = ReloadSettings {
        settle: DEADLINE,
        ..OFTEN
    };
    let (_handle, counted) = run(vec![broken_store, Arc::clone(&beside_store)], patient);
    pki.expired(&["first.test"]).write_to(broken.path());
    until(|| counted.all() == [Err("expired")]).await;
    // Only a re-check finds these, so each of them proves one that went over the expired pair.
    for name in ["second.test", "third.test", "fourth.test"] {
        pki.leaf(&[name]).write_to(beside.path());
        until(|| beside_store.current().unwrap().facts().names == [name]).await;
    }
    until(|| counted.all().len() >= 4).await;
    let failures = |all: Vec<Result<_, _>>| all.into_iter().filter(Result::is_err).count();
    assert_eq!(failures(counted.all()), 1);
    pki.expired(&["first.test"]).write_to(broken.path());
    until(|| failures(counted.all()) == 2).await;
}

/// Links in `dir` to a pair that lies elsewhere.
fn linked(real: &Path, dir: &Path) -> PairFiles {
    let [cert, key] = ["tls.crt", "tls.key"].map(|name| {
        let link = dir.join(name);
        symlink(real.join(name), &link).unwrap();
        link
    });
    PairFiles { cert, key }
}

#[tokio::test]
async fn every_kind_of_bad_pair_keeps_the_old_one() {
    let running = Running::start(IMPATIENT).await;
    let pki = &running.pki;
    let bad = [
        (pki.expired(&["bad.test"]), "expired"),
        (pki.not_yet_valid(&["bad.test"]), "not_yet_valid"),
        (pki.mismatched(&["bad.test"]), "mismatch"),
    ];
    for (pair, reason) in bad {
        running.replace(&pair);
        until(|| {
            running
                .store
                .last_error()
                .is_some_and(|error| error.reason == reason)
        })
        .await;
        assert_eq!(running.subject(), "CN=first.test");
    }
    fs::remove_file(&running.files.cert).unwrap();
    until(|| {
        running
            .store
            .last_error()
            .is_some_and(|error| error.reason == "missing")
    })
    .await;
    assert_eq!(running.subject(), "CN=first.test");
}

#[tokio::test]
async fn files_that_hold_the_same_are_no_reload() {
    let running = Running::start(WATCH_ONLY).await;
    let (cert, key) = (&running.files.cert, &running.files.key);
    let (cert_pem, key_pem) = (
        fs::read_to_string(cert).unwrap(),
        fs::read_to_string(key).unwrap(),
    );
    let before = running.store.current().unwrap();
    replace(cert, &cert_pem);
    fs::write(key, key_pem).unwrap();
    assert_eq!(running.reload_now().await, Outcome::Unchanged);
    assert_eq!(running.reload_now().await, Outcome::Unchanged);
    assert_eq!(running.counted.all(), []);
    assert!(Arc::ptr_eq(&before, &running.store.current().unwrap()));
}

#[tokio::test]
async fn bringing_back_the_pair_in_use_ends_a_failure_without_a_reload() {
    let running = Running::start(IMPATIENT).await;
    let good = fs::read_to_string(&running.files.key).unwrap();
    fs::remove_file(&running.files.key).unwrap();
    until(|| running.store.last_error().is_some()).await;
    replace(&running.files.key, &good);
    until(|| running.store.last_error().is_none()).await;
    assert_eq!(running.counted.all(), [Err("missing")]);
}
