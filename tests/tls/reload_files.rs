//! Replacing certificate files under a running reloader: what is taken, what is refused, what is
//! counted, and what connections get meanwhile.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

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

#[tokio::test]
async fn a_request_for_a_reload_is_answered_with_its_outcome() {
    // Only the request can find the change.
    let unwatched = Unwatched::start(IMPATIENT).await;
    let running = &unwatched.running;
    unwatched.replace(&running.pki.leaf(&["second.test"]));
    assert_eq!(running.reload_now().await, Outcome::Reloaded);
    assert_eq!(running.subject(), "CN=second.test");

    unwatched.replace(&running.pki.mismatched(&["third.test"]));
    let first = failed(running.reload_now().await);
    let second = failed(running.reload_now().await);
    assert_eq!(first.reason, "mismatch");
    assert_eq!(
        first.message,
        format!(
            "private key file {} does not belong to certificate file {}: the key is not that of \"CN=third.test\"",
            running.files.key.display(),
            running.files.cert.display()
        )
    );
    assert_eq!(first, second);
    let counted = [ok("CN=second.test"), Err("mismatch"), Err("mismatch")];
    assert_eq!(running.counted.all(), counted);
}

/// Files reached by links out of the watched directory: no watch sees them change.
struct Unwatched {
    running: Running,
    real: TempDir,
}

impl Unwatched {
    async fn start(settings: ReloadSettings) -> Self {
        let pki = TestPki::new(Algorithm::EcdsaP256);
        let (dir, real) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        pki.leaf(&["first.test"]).write_to(real.path());
        let files = linked(real.path(), dir.path());
        Self {
            running: Running::with(pki, dir, files, settings).await,
            real,
        }
    }

    fn replace(&self, pair: &Pair) {
        pair.write_to(self.real.path());
    }
}

#[tokio::test]
async fn a_change_that_no_watch_sees_is_found_by_the_re_check() {
    let unwatched = Unwatched::start(OFTEN).await;
    unwatched.replace(&unwatched.running.pki.leaf(&["second.test"]));
    unwatched.running.serves("CN=second.test").await;
}

#[tokio::test]
async fn a_half_written_pair_is_waited_for_and_not_counted() {
    let running = Running::start(WATCH_ONLY).await;
    let pair = running.pki.leaf(&["second.test"]);
    replace(&running.files.cert, &pair.cert);
    let mut request = Box::pin(running.reload_now());
    let undecided = timeout(Duration::from_millis(400), &mut request).await;
    assert!(undecided.is_err(), "half a pair was judged: {undecided:?}");
    assert_eq!(running.subject(), "CN=first.test");
    replace(&running.files.key, &pair.key);
    let outcome = request.await;
    // The watch may have been the one that waited; the request then finds its work done.
    assert!(
        matches!(outcome, Outcome::Reloaded | Outcome::Unchanged),
        "{outcome:?}"
    );
    assert_eq!(running.counted.all(), [ok("CN=second.test")]);
}

#[tokio::test]
async fn a_pair_that_stays_half_written_is_a_failure() {
    let running = Running::start(BRIEF).await;
    replace(
        &running.files.cert,
        &running.pki.leaf(&["second.test"]).cert,
    );
    until(|| {
        running
            .store
            .last_error()
            .is_some_and(|error| error.reason == "mismatch")
    })
    .await;
    assert_eq!(running.counted.all(), [Err("mismatch")]);
}

#[tokio::test]
async fn a_pair_of_the_future_is_taken_when_its_time_comes() {
    let running = Running::start(OFTEN).await;
    let now = OffsetDateTime::now_utc();
    let until_tomorrow = now + time::Duration::days(1);
    let soon = now + time::Duration::seconds(3);
    running.replace(
        &running
            .pki
            .leaf_valid(&["second.test"], soon, until_tomorrow),
    );
    until(|| {
        running
            .store
            .last_error()
            .is_some_and(|error| error.reason == "not_yet_valid")
    })
    .await;
    running.serves("CN=second.test").await;
    assert!(OffsetDateTime::now_utc() >= soon - time::Duration::SECOND);
    assert_eq!(running.store.last_error(), None);
}

#[tokio::test]
async fn a_directory_that_is_removed_and_made_anew_is_watched_again() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("tls");
    fs::create_dir(&directory).unwrap();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let files = pki.leaf(&["first.test"]).write_to(&directory);
    let running = Running::with(pki, parent, files, OFTEN).await;
    fs::remove_dir_all(&directory).unwrap();
    until(|| {
        running
            .store
            .last_error()
            .is_some_and(|error| error.reason == "missing")
    })
    .await;
    fs::create_dir(&directory).unwrap();
    running.replace(&running.pki.leaf(&["second.test"]));
    running.serves("CN=second.test").await;
}

#[tokio::test]
async fn an_expired_certificate_in_use_outweighs_all_else() {
    let running = Running::start(IMPATIENT).await;
    fs::remove_file(&running.files.cert).unwrap();
    until(|| running.store.last_error().is_some()).await;
    let not_after = running.store.current().unwrap().facts().not_after;
    let later = SystemTime::now() + Duration::from_hours(48);
    let health = running.store.health(later);
    assert_eq!(health, Health::Expired { not_after });
    let json = serde_json::to_value(&health).unwrap();
    assert_eq!(
        json,
        serde_json::json!({"state": "expired", "not_after": not_after})
    );
    let stale = serde_json::to_value(running.store.health(SystemTime::now())).unwrap();
    assert_eq!(
        (&stale["state"], &stale["reason"]),
        (&"stale".into(), &"missing".into())
    );
}

#[tokio::test]
async fn stores_are_answered_for_in_their_order_and_do_not_wait_for_each_other() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let files = dirs
        .each_ref()
        .map(|dir| pki.leaf(&["first.test"]).write_to(dir.path()));
    let stores = files
        .each_ref()
        .map(|files| Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap()));
    let (handle, counted) = run(stores.to_vec(), WATCH_ONLY);
    handle.reload_now().await.unwrap();
    // The first settles for as long as it may; the second must not wait for it.
    replace(&files[0].cert, "half a certi");
    pki.leaf(&["second.test"]).write_to(dirs[1].path());
    until(|| stores[1].current().unwrap().facts().subject == "CN=second.test").await;
    assert_eq!(counted.all(), [ok("CN=second.test")]);
    let whole = pki.leaf(&["third.test"]);
    whole.write_to(dirs[0].path());
    let outcomes = handle.reload_now().await.unwrap();
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[1], Outcome::Unchanged);
    assert_eq!(
        stores[0].current().unwrap().facts().subject,
        "CN=third.test"
    );
}

#[test]
fn without_a_first_pair_there_is_no_store() {
    let dir = TempDir::new().unwrap();
    let error = CredentialStore::load(&dir.path().join("tls.crt"), &dir.path().join("tls.key"));
    assert!(matches!(error, Err(CredentialError::Missing { .. })));
}

#[tokio::test]
async fn a_reloader_that_has_ended_says_so() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let dir = TempDir::new().unwrap();
    let files = pki.leaf(&["first.test"]).write_to(dir.path());
    let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
    let counted = Arc::new(Counted::default());
    let (reloader, handle) = Reloader::new(vec![store], WATCH_ONLY, counted);
    let task = tokio::spawn(reloader.run());
    let last = handle.clone();
    drop(handle);
    assert_eq!(last.reload_now().await.unwrap(), [Outcome::Unchanged]);
    task.abort();
    let stopped = last.reload_now().await.unwrap_err();
    assert_eq!(stopped.to_string(), "the certificate reloader has stopped");
}

#[tokio::test]
async fn the_reloader_ends_with_its_last_handle() {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let dir = TempDir::new().unwrap();
    let files = pki.leaf(&["first.test"]).write_to(dir.path());
    let store = Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap());
    let (reloader, handle) = Reloader::new(vec![store], WATCH_ONLY, Arc::new(Counted::default()));
    let task = tokio::spawn(reloader.run());
    drop(handle);
    timeout(DEADLINE, task).await.expect("it ends").unwrap();
}

/// A connection between a rustls client and a server that asks the store for its certificate.
struct Connection {
    client: ClientConnection,
    server: ServerConnection,
}

impl Connection {
    fn open(running: &Running, name: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(running.pki.ca_pem().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls_post_quantum::provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&running.store) as _);
        let name = ServerName::try_from(name).unwrap();
        let mut connection = Self {
            client: ClientConnection::new(Arc::new(client), name).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
        };
        while connection.client.is_handshaking() || connection.server.is_handshaking() {
            connection.carry();
        }
        connection
    }

    fn carry(&mut self) {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        self.client.write_tls(&mut up).unwrap();
        self.server.read_tls(&mut up.as_slice()).unwrap();
        self.server.process_new_packets().unwrap();
        self.server.write_tls(&mut down).unwrap();
        self.client.read_tls(&mut down.as_slice()).unwrap();
        self.client.process_new_packets().unwrap();
    }

    fn echo(&mut self, text: &str) -> String {
        use io::{Read, Write};
        self.server.writer().write_all(text.as_bytes()).unwrap();
        self.carry();
        let mut buffer = vec![0; 64];
        let read = self.client.reader().read(&mut buffer).unwrap();
        String::from_utf8(buffer[..read].to_vec()).unwrap()
    }
}

#[tokio::test]
async fn new_connections_get_the_new_pair_and_live_ones_stay() {
    let running = Running::start(IMPATIENT).await;
    let mut live = Connection::open(&running, "first.test");
    let before = live.client.peer_certificates().unwrap().to_vec();
    running.replace(&running.pki.leaf(&["second.test"]));
    running.serves("CN=second.test").await;
    let fresh = Connection::open(&running, "second.test");
    assert_ne!(fresh.client.peer_certificates().unwrap(), before);
    assert_eq!(live.echo("still here"), "still here");
}
