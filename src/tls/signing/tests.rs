//! Turns of sources, threads that hang, and panics.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

#[tokio::test]
async fn a_call_that_hangs_costs_its_thread_and_nobody_else() {
    let threads = SigningThreads::start(2, 8, Duration::from_millis(100)).unwrap();
    let (release, held) = channel::<()>();
    let hung = threads.run(CLIENT, move || held.recv().is_ok()).await;
    assert!(matches!(hung, Err(HandshakeError::SignerTimeout)));
    assert!(threads.hang());
    assert_eq!(threads.run(CLIENT, || 7).await.unwrap(), 7);
    assert!(!threads.hang());
    drop(release);
}

#[tokio::test]
async fn who_waits_behind_calls_that_hang_is_told_so() {
    let threads = SigningThreads::start(1, 8, Duration::from_millis(100)).unwrap();
    let (release, held) = channel::<()>();
    let hung = threads.run(CLIENT, move || held.recv().is_ok()).await;
    assert!(matches!(hung, Err(HandshakeError::SignerTimeout)));
    threads.hangs.store(false, Ordering::Relaxed);
    let waited = threads.run(CLIENT, || ()).await;
    assert!(matches!(waited, Err(HandshakeError::SignerTimeout)));
    assert!(threads.hang());
    drop(release);
    threads.run(CLIENT, || ()).await.unwrap();
}

#[tokio::test]
async fn only_so_many_wait() {
    let threads = SigningThreads::start(1, 0, Duration::from_mins(1)).unwrap();
    let (release, held) = channel::<()>();
    let first = {
        let threads = Arc::clone(&threads);
        tokio::spawn(async move { threads.run(CLIENT, move || held.recv().is_ok()).await })
    };
    while threads.turns.state().free > 0 {
        tokio::task::yield_now().await;
    }
    let second = threads.run(CLIENT, || ()).await;
    assert!(matches!(second, Err(HandshakeError::ShedFromQueue)));
    release.send(()).unwrap();
    assert!(first.await.unwrap().unwrap());
}

/// More than the threads compute: what another source asks is computed next, and no thread hangs.
#[tokio::test]
async fn a_flood_of_one_source_leaves_another_its_turns() {
    const PLACES: usize = 100;
    let threads = SigningThreads::start(2, PLACES, Duration::from_millis(500)).unwrap();
    let slow = || thread::sleep(Duration::from_millis(20));
    let mut flood = tokio::task::JoinSet::new();
    // 500 ms are 50 signatures of these threads.
    for _ in 0..2 * PLACES {
        let threads = Arc::clone(&threads);
        flood.spawn(async move { threads.run(CLIENT, slow).await });
    }
    tokio::task::yield_now().await;
    for host in 1..5 {
        let honest = IpAddr::from([198, 51, 100, host]);
        threads.run(honest, slow).await.unwrap();
    }
    let ends = flood.join_all().await;
    let shed = |end: &&_| matches!(end, Err(HandshakeError::ShedFromQueue));
    let (computed, shed) = (
        ends.iter().filter(|end| end.is_ok()).count(),
        ends.iter().filter(shed).count(),
    );
    assert_eq!(computed + shed, ends.len());
    assert!(computed > 0 && shed >= PLACES - 2, "{computed} {shed}");
    assert!(!threads.hang());
    let state = threads.turns.state();
    assert!(state.free == 2 && state.waiting.holds_nothing());
}

#[tokio::test]
async fn a_panic_is_one_of_the_handshake() {
    let threads = SigningThreads::start(1, 1, Duration::from_mins(1)).unwrap();
    let of_handshake = {
        let threads = Arc::clone(&threads);
        let work = || -> u8 { panic!("in a module") };
        tokio::spawn(async move { threads.run(CLIENT, work).await })
    };
    assert!(of_handshake.await.unwrap_err().is_panic());
    assert_eq!(threads.run(CLIENT, || 7).await.unwrap(), 7);
}
