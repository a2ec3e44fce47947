#![allow(clippy::unwrap_used)]
use super::*;

#[tokio::test]
async fn a_drain_completes_when_the_last_watch_is_gone() {
    let drain = Drain::default();
    let watch = drain.watch();
    drain.advance(Phase::Draining);
    assert!(watch.is_draining());
    assert_eq!(drain.open(), 1);
    let complete = tokio::spawn({
        let drain = drain.clone();
        async move { drain.finished().await }
    });
    drop(watch);
    assert!(complete.await.is_ok());
}

#[test]
fn the_parts_of_one_piece_of_work_count_once() {
    let drain = Drain::default();
    let (one, other) = (drain.watch(), drain.watch());
    let part = one.clone();
    assert_eq!(drain.open(), 2);
    drop((one, other));
    assert_eq!(drain.open(), 1);
    drop(part);
    assert_eq!(drain.open(), 0);
}

#[tokio::test]
async fn a_drain_does_not_complete_while_an_entrance_is_open() {
    let drain = Drain::default();
    let entrance = drain.entrance();
    assert_eq!(drain.open(), 0);
    let complete = tokio::spawn({
        let drain = drain.clone();
        async move { drain.finished().await }
    });
    tokio::task::yield_now().await;
    assert!(!complete.is_finished());
    drop(entrance);
    assert!(complete.await.is_ok());
}

#[test]
fn a_phase_never_goes_back() {
    let drain = Drain::default();
    drain.advance(Phase::Draining);
    drain.advance(Phase::LameDuck);
    assert_eq!(drain.phase(), Phase::Draining);
}

#[tokio::test]
async fn a_branch_is_drained_by_itself_and_with_the_whole() {
    let drain = Drain::default();
    let (one, other) = (drain.branch(), drain.branch());
    let (held, kept) = (one.watch(), other.watch());
    one.advance(Phase::Draining);
    assert!(held.is_draining() && !kept.is_draining());
    assert_eq!((drain.phase(), drain.open()), (Phase::Running, 2));
    held.count_abort();
    assert_eq!((one.aborted(), drain.aborted()), (1, 1));
    drop(held);
    one.finished().await;
    drain.forget(&one);
    assert_eq!((drain.open(), drain.aborted()), (1, 0));
    drain.advance(Phase::Draining);
    assert!(kept.is_draining());
    let complete = tokio::spawn({
        let drain = drain.clone();
        async move { drain.finished().await }
    });
    tokio::task::yield_now().await;
    assert!(!complete.is_finished());
    drop(kept);
    assert!(complete.await.is_ok());
    assert!(drain.branch().watch().is_draining());
}

/// An egress takes connections while a listener's drain.
#[tokio::test]
async fn a_branch_that_takes_new_work_is_waited_for() {
    let drain = Drain::default();
    let (first, second) = (drain.branch(), drain.branch());
    let held = second.watch();
    let complete = tokio::spawn({
        let drain = drain.clone();
        async move { drain.finished().await }
    });
    tokio::task::yield_now().await;
    let late = first.watch();
    drop(held);
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    assert!(!complete.is_finished());
    drop(late);
    assert!(complete.await.is_ok());
}

#[tokio::test]
async fn what_a_branch_cut_counts_to_the_end() {
    let drain = Drain::default();
    let branch = drain.branch();
    let held = branch.watch();
    drain.advance(Phase::Draining);
    held.count_abort();
    drop(held);
    drain.forget(&branch);
    assert_eq!(drain.aborted(), 1);
}
