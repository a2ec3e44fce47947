use std::task::Waker;

use tokio::time::advance;

use super::*;

fn turn(awaited: Awaited, moved: bool) -> Turn {
    Turn {
        awaited,
        moved,
        limit: None,
    }
}

fn poll(patience: &mut Patience, turn: Turn, sent: u64, left: usize) -> Change {
    let mut cx = Context::from_waker(Waker::noop());
    patience.poll(&mut cx, turn, sent, || Some(left))
}

#[tokio::test(start_paused = true)]
async fn only_a_client_of_which_nothing_comes_has_stalled() {
    let mut patience = Patience::default();
    let sending = turn(Awaited::Sending, false);
    assert_eq!(poll(&mut patience, sending, 0, 0), Change::Nothing);
    advance(PATIENCE / 2).await;
    let came = turn(Awaited::Sending, true);
    assert_eq!(poll(&mut patience, came, 0, 0), Change::Nothing);
    advance(PATIENCE / 2).await;
    assert_eq!(poll(&mut patience, sending, 0, 0), Change::Nothing);
    advance(PATIENCE).await;
    let stalled = poll(&mut patience, sending, 0, 0);
    assert!(matches!(stalled, Change::Stalled(_)), "{stalled:?}");
    assert!(patience.is_stalled());
    assert_eq!(poll(&mut patience, sending, 0, 0), Change::Nothing);
    assert_eq!(poll(&mut patience, came, 0, 0), Change::GoesOn);
    advance(PATIENCE * 2).await;
    let others = turn(Awaited::Others, false);
    assert_eq!(poll(&mut patience, others, 0, 0), Change::Nothing);
    assert!(!patience.is_stalled());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_acknowledges_reads() {
    let mut patience = Patience::default();
    let reading = turn(Awaited::Reading, false);
    for left in [900, 900, 800, 700, 600] {
        assert_eq!(poll(&mut patience, reading, 1, left), Change::Nothing);
        advance(PATIENCE).await;
    }
    // A partial write.
    assert_eq!(poll(&mut patience, reading, 2, 600), Change::Nothing);
    advance(PATIENCE).await;
    assert_eq!(poll(&mut patience, reading, 2, 600), Change::Nothing);
    advance(PATIENCE).await;
    let stalled = poll(&mut patience, reading, 2, 600);
    assert!(matches!(stalled, Change::Stalled(_)), "{stalled:?}");
}

/// Looks once in half a patience; `left` says what the kernel tells.
async fn stalls_after(awaited: Awaited, left: impl Fn(u32) -> Option<usize>) -> Duration {
    let (mut patience, began) = (Patience::default(), Instant::now());
    for look in 0..60 {
        let mut cx = Context::from_waker(Waker::noop());
        let turn = turn(awaited, false);
        if let Change::Stalled(_) = patience.poll(&mut cx, turn, 0, || left(look)) {
            return began.elapsed();
        }
        advance(PATIENCE / 2).await;
    }
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_may_be_waiting_as_well_has_longer() {
    let sending = stalls_after(Awaited::Sending, |_| None).await;
    assert_eq!(sending, PATIENCE);
    let talking = stalls_after(Awaited::Talking, |_| None).await;
    assert_eq!(talking, TALK);
    let unseen = stalls_after(Awaited::Reading, |_| None).await;
    assert_eq!(unseen, UNSEEN);
    // It took all that there was, and gives its window back late.
    let all = stalls_after(Awaited::Reading, |look| Some(900 * usize::from(look < 3))).await;
    assert!(all > PATIENCE * 2, "{all:?}");
    let nothing = stalls_after(Awaited::Reading, |_| Some(900)).await;
    assert_eq!(nothing, PATIENCE * 2);
}

/// Until a client of which nothing comes, or that takes `takes` bytes of 900 in a look, is given up; looks once a
/// second, for ten minutes.
async fn times_out_after(awaited: Awaited, limit: u64, takes: usize) -> Option<u64> {
    let (mut patience, began) = (Patience::default(), Instant::now());
    let mut told = false;
    for look in 0..600 {
        let mut cx = Context::from_waker(Waker::noop());
        let turn = Turn {
            limit: Some(Duration::from_secs(limit)),
            ..turn(awaited, false)
        };
        let left = Some(900_usize.saturating_sub(look * takes));
        match patience.poll(&mut cx, turn, 0, || left) {
            Change::Stalled(_) => told = true,
            Change::GoesOn => told = false,
            Change::Timeout => {
                assert_eq!(patience.is_stalled(), told, "{awaited:?} {limit} s");
                return Some(began.elapsed().as_secs());
            }
            Change::Nothing => {}
        }
        advance(Duration::from_secs(1)).await;
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_client_is_waited_for_no_longer_than_the_limit() {
    for limit in [1, 4, 5, 6, 300] {
        let after = times_out_after(Awaited::Sending, limit, 0).await;
        assert_eq!(after, Some(limit));
        let after = times_out_after(Awaited::Reading, limit, 0).await;
        // Two looks see the same.
        let looks = limit.max(2 * limit.min(5));
        assert!(
            after.is_some_and(|after| (limit..=looks + limit).contains(&after)),
            "{after:?}"
        );
        assert_eq!(times_out_after(Awaited::Reading, limit, 1).await, None);
        // In gRPC it may be the server's turn.
        assert_eq!(times_out_after(Awaited::Talking, limit, 0).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_timer_of_the_limit_does_not_delay_the_next_look() {
    let mut patience = Patience::default();
    let sending = |moved| Turn {
        limit: Some(Duration::from_mins(5)),
        ..turn(Awaited::Sending, moved)
    };
    assert_eq!(poll(&mut patience, sending(false), 0, 0), Change::Nothing);
    advance(PATIENCE).await;
    let stalled = poll(&mut patience, sending(false), 0, 0);
    assert!(matches!(stalled, Change::Stalled(_)), "{stalled:?}");
    assert_eq!(poll(&mut patience, sending(true), 0, 0), Change::GoesOn);
    advance(PATIENCE).await;
    let stalled = poll(&mut patience, sending(false), 0, 0);
    assert!(matches!(stalled, Change::Stalled(_)), "{stalled:?}");
}
