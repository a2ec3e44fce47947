//! A resolver that answers for some names and for others never.
#![allow(clippy::unwrap_used, clippy::panic)]
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::{JoinSet, yield_now};

use super::*;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(5);

fn lookups() -> Arc<Lookups> {
    Arc::new(Lookups::new(Arc::new(|| {})))
}

/// A resolver that answers for no name that begins with "dead".
async fn resolver(name: String, begun: Arc<AtomicUsize>) -> Found {
    begun.fetch_add(1, Ordering::SeqCst);
    if name.starts_with("dead") {
        std::future::pending::<()>().await;
    }
    Ok(vec![ADDRESS])
}

#[tokio::test]
async fn a_name_that_nobody_answers_for_is_asked_once_and_delays_no_other() {
    let (lookups, begun) = (lookups(), Arc::new(AtomicUsize::new(0)));
    let mut waiting = JoinSet::new();
    for _ in 0..1_500 {
        let (lookups, begun) = (Arc::clone(&lookups), Arc::clone(&begun));
        waiting.spawn(async move {
            let resolver = |name| resolver(name, Arc::clone(&begun));
            lookups.find("dead.test", Duration::MAX, resolver).await
        });
    }
    // Every task has had its turn many times over.
    for _ in 0..1_000 {
        yield_now().await;
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1);
    let resolver = |name| resolver(name, Arc::clone(&begun));
    let found = lookups.find("good.test", PATIENCE, resolver);
    assert_eq!(found.await, Ok(Ok(vec![ADDRESS])));
}

#[tokio::test(start_paused = true)]
async fn names_beyond_the_bound_wait_and_who_gives_up_leaves_nothing() {
    let (lookups, begun) = (lookups(), Arc::new(AtomicUsize::new(0)));
    let resolver = |name| resolver(name, Arc::clone(&begun));
    let known = lookups.find("known.test", PATIENCE, resolver).await;
    assert_eq!(known, Ok(Ok(vec![ADDRESS])));
    for number in 0..AT_ONCE + 8 {
        let name = format!("dead-{number}.test");
        let late = lookups.find(&name, PATIENCE, resolver).await.unwrap_err();
        // Who never was asked is not blamed.
        assert_eq!(late == Late::Asked, number < AT_ONCE, "{number}");
    }
    for _ in 0..1_000 {
        yield_now().await;
    }
    assert_eq!(begun.load(Ordering::SeqCst), 1 + AT_ONCE);
    // Those that hold a thread stay; those that never began are gone.
    assert_eq!(lookups.0.by_name().len(), AT_ONCE);
    // A name that had an address does not wait for them.
    let known = lookups.find("known.test", PATIENCE, resolver).await;
    assert_eq!(known, Ok(Ok(vec![ADDRESS])));
    let strange = lookups.find("strange.test", PATIENCE, resolver).await;
    assert_eq!(strange, Err(Late::Waited));
}

#[tokio::test]
async fn a_name_is_asked_anew_after_its_answer() {
    let (lookups, begun) = (lookups(), Arc::new(AtomicUsize::new(0)));
    for _ in 0..2 {
        let resolver = |name| resolver(name, Arc::clone(&begun));
        let found = lookups.find("good.test", PATIENCE, resolver);
        assert_eq!(found.await, Ok(Ok(vec![ADDRESS])));
    }
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    assert!(lookups.0.by_name().is_empty());
}

#[test]
fn names_that_have_no_address_any_more_and_too_many_names_are_forgotten() {
    let shared = &lookups().0;
    let found = Ok(vec![ADDRESS]);
    for number in 0..MOST_KNOWN {
        shared.learn(&number.to_string(), &found);
    }
    assert_eq!(shared.known().len(), MOST_KNOWN);
    shared.learn("7", &Err("gone".into()));
    shared.learn("8", &Ok(vec![]));
    shared.learn("9", &found);
    assert_eq!(shared.known().len(), MOST_KNOWN - 2);
    for number in 0..3 {
        shared.learn(&format!("new {number}"), &found);
    }
    assert_eq!(shared.known().len(), 1);
}

#[tokio::test]
async fn a_panic_is_counted_and_ends_the_lookup() {
    let counted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&counted);
    let lookups = Lookups::new(Arc::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    let broken = |_| async { panic!("as asked") };
    let found = lookups.find("a.test", PATIENCE, broken).await;
    assert!(
        found
            .unwrap()
            .unwrap_err()
            .contains("a fault of this program")
    );
    assert_eq!(counted.load(Ordering::SeqCst), 1);
}
