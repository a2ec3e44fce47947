use super::*;

const A_CONNECTION: usize = 1000;

#[test]
fn a_connection_and_a_process_at_their_bounds_give_little() {
    static PROCESS: Process = Process::new(A_CONNECTION, 2 * A_CONNECTION, 2);
    let (one, other) = (
        Unsent::new(&PROCESS, Arc::default()),
        Unsent::new(&PROCESS, Arc::default()),
    );
    let mut held = Charge::new(Arc::clone(&one));
    held.set(A_CONNECTION - 1);
    assert_eq!(one.room(), Readiness::Ample);
    held.set(A_CONNECTION);
    assert_eq!(
        (one.room(), other.room()),
        (Readiness::Scarce, Readiness::Ample)
    );
    let mut more = Charge::new(Arc::clone(&one));
    more.set(A_CONNECTION);
    assert_eq!(other.room(), Readiness::Scarce);
    drop((held, more));
    assert_eq!(
        (one.room(), other.room()),
        (Readiness::Ample, Readiness::Ample)
    );
    assert_eq!(PROCESS.held.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn what_a_head_took_is_given_back_when_the_socket_has_room() {
    static PROCESS: Process = Process::new(A_CONNECTION, A_CONNECTION, 2);
    let blocked = Arc::new(AtomicBool::new(false));
    let one = Unsent::new(&PROCESS, Arc::clone(&blocked));
    let held = || one.heads.bytes();
    let settle = async || {
        for _ in 0..10 {
            yield_now().await;
        }
    };
    assert!(one.takes_head(1));
    assert_eq!(held(), 1);
    settle().await;
    assert_eq!(held(), 0);
    blocked.store(true, Ordering::SeqCst);
    assert!(one.takes_head(1));
    settle().await;
    assert_eq!(held(), 1);
    one.closed();
    settle().await;
    assert_eq!(held(), 0);
}

#[test]
fn bytes_are_charged_before_they_are_read() {
    static PROCESS: Process = Process::new(A_CONNECTION, 2 * A_CONNECTION, 2);
    let one = Unsent::new(&PROCESS, Arc::default());
    let charge = || Charge::new(Arc::clone(&one));
    let (mut first, mut second) = (charge(), charge());
    assert!(first.reserve(A_CONNECTION) && !second.reserve(1));
    drop(first);
    assert!(second.reserve(1));
}
