//! The order of turns, who goes when too many wait, and what is left when all are gone.
#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use super::*;

fn enter(queue: &Arc<HandshakeQueue>, address: [u8; 4]) -> Option<Waiting> {
    queue.state().enter(queue, address.into()).0
}

/// A queue in which the next handshake waits.
fn busy(limit: usize) -> Arc<HandshakeQueue> {
    let queue = HandshakeQueue::new(limit, Arc::new(|| {}));
    for _ in 0..AT_ONCE {
        assert!(enter(&queue, [192, 0, 2, 1]).is_none());
    }
    queue
}

fn called(waiting: &mut Waiting) -> Option<Called> {
    match waiting.poll_called(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(called) => Some(called),
        Poll::Pending => None,
    }
}

/// Which of them each pass calls.
fn passes(queue: &HandshakeQueue, waiting: &mut BTreeMap<usize, Waiting>) -> Vec<Vec<usize>> {
    let mut passes = Vec::new();
    loop {
        let more = queue.state().call();
        let told = waiting.iter_mut().filter_map(|(number, waiting)| {
            (called(waiting) == Some(Called::ToCompute)).then_some(*number)
        });
        let told: Vec<_> = told.collect();
        for number in &told {
            waiting.remove(number);
        }
        passes.push(told);
        if !more {
            return passes;
        }
    }
}

#[test]
fn nobody_waits_while_few_come() {
    let queue = busy(8);
    assert!(queue.state().waiting.holds_nothing());
    // A pass that finds nobody is the last.
    assert!(!queue.state().call());
    assert!(enter(&queue, [192, 0, 2, 1]).is_none());
}

#[test]
fn sources_take_turns_and_a_pass_calls_one() {
    let queue = busy(100);
    let flood = (0..6).map(|host| [192, 0, 2, host]);
    let others = [[198, 51, 100, 1], [203, 0, 113, 1], [198, 51, 100, 2]];
    let mut waiting: BTreeMap<_, _> = flood
        .chain(others)
        .map(|address| enter(&queue, address).unwrap())
        .enumerate()
        .collect();
    let passes = passes(&queue, &mut waiting);
    assert!(passes.iter().all(|pass| pass.len() <= 1));
    // A source's members stay in their order; the others' first are among the first three.
    let order = passes.concat();
    let of_flood: Vec<_> = order.iter().filter(|number| **number < 6).collect();
    assert_eq!(of_flood, [&0, &1, &2, &3, &4, &5]);
    assert!(
        order[..3].contains(&6) && order[..3].contains(&7),
        "{order:?}"
    );
    assert!(order[..5].contains(&8), "{order:?}");
}

#[test]
fn the_oldest_of_the_largest_source_goes_when_too_many_wait() {
    let queue = busy(4);
    let mut honest = enter(&queue, [198, 51, 100, 9]).unwrap();
    let mut flood: Vec<_> = (0..6)
        .map(|host| enter(&queue, [192, 0, 2, host]).unwrap())
        .collect();
    assert_eq!(called(&mut honest), None);
    let told: Vec<_> = flood.iter_mut().map(called).collect();
    let go = Some(Called::ToGo);
    assert_eq!(told, [go, go, go, None, None, None]);
    assert_eq!(queue.state().waiting.len(), 4);
}

#[test]
fn who_went_away_has_no_turn_and_leaves_nothing() {
    let queue = busy(100);
    let (gone, mut stays) = (
        enter(&queue, [192, 0, 2, 1]).unwrap(),
        enter(&queue, [192, 0, 2, 1]).unwrap(),
    );
    drop(gone);
    queue.state().call();
    assert_eq!(called(&mut stays), Some(Called::ToCompute));
    drop(stays);
    assert!(queue.state().waiting.holds_nothing());
}

/// Against a plain list: who is called is the oldest of the next source in the circle, who goes is the
/// oldest of a largest source.
#[test]
fn any_order_of_arrivals_departures_and_passes_keeps_the_rule() {
    const LIMIT: usize = 20;
    let queue = busy(LIMIT);
    let mut list: Vec<(u8, Waiting)> = Vec::new();
    let (mut seed, mut last) = (7_u32, None);
    for _ in 0..5_000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let subnet = (seed >> 24) as u8 % 5;
        match (seed >> 16) % 4 {
            0 if list.len() > 2 => drop(list.remove((seed >> 8) as usize % list.len())),
            1 if !list.is_empty() => {
                assert!(queue.state().call());
                let next = (1..=5)
                    .map(|step| last.map_or(step - 1, |last| (last + step) % 5))
                    .find(|subnet| list.iter().any(|(other, _)| other == subnet));
                last = next;
                let index = list.iter().position(|(other, _)| Some(*other) == next);
                let (_, mut turn) = list.remove(index.unwrap());
                assert_eq!(called(&mut turn), Some(Called::ToCompute));
            }
            _ => {
                list.push((subnet, enter(&queue, [10, 0, subnet, 1]).unwrap()));
                let count = |wanted| list.iter().filter(|(other, _)| *other == wanted).count();
                if list.len() > LIMIT {
                    let most = (0..5).map(count).max().unwrap();
                    let index = list.iter().position(|(other, _)| count(*other) == most);
                    let (_, mut shed) = list.remove(index.unwrap());
                    assert_eq!(called(&mut shed), Some(Called::ToGo));
                }
            }
        }
        assert_eq!(queue.state().waiting.len(), list.len());
        let told = list.iter_mut().filter_map(|(_, waiting)| called(waiting));
        assert_eq!(told.count(), 0);
    }
}

#[tokio::test]
async fn everyone_is_called_and_no_task_stays() {
    let queue = HandshakeQueue::new(1_000, Arc::new(|| {}));
    let mut all = tokio::task::JoinSet::new();
    for host in 0..100 {
        let queue = Arc::clone(&queue);
        all.spawn(async move {
            if let Some(mut waiting) = queue.enter([10, 0, host, 1].into()) {
                let called = poll_fn(|cx| waiting.poll_called(cx));
                assert_eq!(called.await, Called::ToCompute);
            }
        });
    }
    while let Some(ended) = all.join_next().await {
        ended.unwrap();
    }
    let metrics = tokio::runtime::Handle::current().metrics();
    while metrics.num_alive_tasks() > 0 {
        yield_now().await;
    }
    assert!(queue.state().waiting.holds_nothing());
    assert!(!queue.state().calling);
}

/// One look at the sockets finds a connection, and its hello is there too.
#[tokio::test]
async fn who_was_just_accepted_takes_part_in_the_same_pass() {
    let queue = HandshakeQueue::new(100, Arc::new(|| {}));
    let order = Arc::new(Mutex::new(Vec::new()));
    let handshake = |host: [u8; 4]| {
        let (queue, order) = (Arc::clone(&queue), Arc::clone(&order));
        async move {
            if let Some(mut waiting) = queue.enter(host.into()) {
                poll_fn(|cx| waiting.poll_called(cx)).await;
                order.lock().unwrap().push(host);
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let newcomer = handshake([10, 0, 0, 1]);
    let accepting = tokio::spawn(async move {
        listener.accept().await.unwrap();
        tokio::spawn(newcomer).await.unwrap();
    });
    // It looks, and finds none.
    yield_now().await;
    let _client = std::net::TcpStream::connect(address).unwrap();
    let mut flood = tokio::task::JoinSet::new();
    for host in 0..20 {
        flood.spawn(handshake([192, 0, 2, host]));
    }
    accepting.await.unwrap();
    assert_eq!(order.lock().unwrap().first(), Some(&[10, 0, 0, 1]));
    while let Some(ended) = flood.join_next().await {
        ended.unwrap();
    }
}

/// Panics when it is woken.
struct Bomb;

impl std::task::Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("as asked");
    }
}

#[tokio::test]
async fn a_panic_among_those_who_wait_is_told_and_nobody_waits_for_ever() {
    let panics = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&panics);
    let panicked = move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    let queue = HandshakeQueue::new(100, Arc::new(panicked));
    for _ in 0..AT_ONCE {
        assert!(queue.enter([192, 0, 2, 1].into()).is_none());
    }
    let mut first = queue.enter([192, 0, 2, 1].into()).unwrap();
    let mut others: Vec<_> = (0..20)
        .map(|_| queue.enter([192, 0, 2, 1].into()).unwrap())
        .collect();
    let bomb = Waker::from(Arc::new(Bomb));
    assert!(
        first
            .poll_called(&mut Context::from_waker(&bomb))
            .is_pending()
    );
    for waiting in &mut others {
        let called = poll_fn(|cx| waiting.poll_called(cx)).await;
        assert_eq!(called, Called::ToGo);
    }
    assert_eq!(panics.load(Ordering::SeqCst), 1);
    // As new: computed at once, and called where they must wait.
    for _ in 0..AT_ONCE {
        assert!(queue.enter([192, 0, 2, 1].into()).is_none());
    }
    let mut next = queue.enter([192, 0, 2, 1].into()).unwrap();
    // Those of before that go now take nobody of later with them.
    drop((first, others));
    let called = poll_fn(|cx| next.poll_called(cx)).await;
    assert_eq!(called, Called::ToCompute);
}
