//! Changes that no watch sees, pairs that are not whole yet, and time that passes.

use super::*;

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
    assert!(undecided.is_err(), "half a pair was loaded: {undecided:?}");
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

/// Two pairs for one name, each in a directory of its own, and what holds them.
pub(super) fn two_pairs() -> (
    TestPki,
    [TempDir; 2],
    [PairFiles; 2],
    [Arc<CredentialStore>; 2],
) {
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let files = dirs
        .each_ref()
        .map(|dir| pki.leaf(&["first.test"]).write_to(dir.path()));
    let stores = files
        .each_ref()
        .map(|files| Arc::new(CredentialStore::load(&files.cert, &files.key).unwrap()));
    (pki, dirs, files, stores)
}

#[tokio::test]
async fn stores_are_answered_for_in_their_order_and_do_not_wait_for_each_other() {
    let (pki, dirs, files, stores) = two_pairs();
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
