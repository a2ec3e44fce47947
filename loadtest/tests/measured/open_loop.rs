//! Latency under open load counts from the scheduled moment: a server that stalls cannot hide behind the operations
//! that were never sent (coordinated omission), as it can under closed load.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{case, target};
use hybridge_loadtest::error::Result;
use hybridge_loadtest::http::h1::H1;
use hybridge_loadtest::net::counts::Counter;
use hybridge_loadtest::net::dial::Endpoint;
use hybridge_loadtest::net::served::Served;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::run::load::Crew;
use hybridge_loadtest::session::Sample;
use tokio::net::TcpListener;

const STALL: Duration = Duration::from_millis(200);

/// Answers at once, but for one stall 100 ms after the first request of a block.
async fn stalling_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut h1 = H1::new(peer);
                let (mut first, mut stalled) = (None::<Instant>, false);
                while let Ok(Some(_)) = h1.head(true).await {
                    let begun = *first.get_or_insert_with(Instant::now);
                    if !stalled && begun.elapsed() > Duration::from_millis(100) {
                        stalled = true;
                        tokio::time::sleep(STALL).await;
                    }
                    h1.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0)
                        .await
                        .ok();
                }
            });
        }
    });
    address
}

async fn measure(load: Load) -> (Sample, Duration) {
    work(stalling_server().await, load).await.unwrap()
}

async fn work(address: SocketAddr, load: Load) -> Result<(Sample, Duration)> {
    let endpoint = Arc::new(Endpoint {
        name: "stalling".into(),
        address,
        authority: address.to_string(),
        tls: None,
        rtt: Duration::ZERO,
        totals: Arc::new(Counter::default()),
        served: Served::default(),
    });
    let case = Arc::new(Case {
        load,
        down: 0,
        ..case(Scenario::H1Keepalive)
    });
    let mut crew = Crew::new(&case, target(Role::Subject, endpoint), &mut Rng::new(1));
    crew.prepare().await.unwrap();
    crew.work(Duration::from_millis(500)).await
}

fn share_above(sample: &Sample, limit: Duration) -> f64 {
    let slow = sample
        .latency
        .iter()
        .filter(|ns| u128::from(**ns) > limit.as_nanos())
        .count();
    slow as f64 / sample.latency.len() as f64
}

#[tokio::test]
async fn a_stall_is_paid_for_by_every_operation_that_was_due_in_it() {
    let (sample, _) = measure(Load::Open {
        per_second: 400.0,
        connections: 1,
    })
    .await;
    assert_eq!(
        sample.ops, 200,
        "400 a second for half a second, none dropped"
    );
    // 80 of 200 fall due during the stall; those due in its first three quarters wait at least 50 ms.
    let share = share_above(&sample, Duration::from_millis(50));
    assert!((0.2..0.6).contains(&share), "{share}");
}

#[tokio::test]
async fn closed_load_hides_the_same_stall() {
    let (sample, _) = measure(Load::Closed { connections: 1 }).await;
    assert!(
        sample
            .latency
            .iter()
            .any(|ns| u128::from(*ns) >= STALL.as_nanos()),
        "somebody saw it"
    );
    assert!(
        share_above(&sample, Duration::from_millis(50)) < 0.05,
        "and hardly anybody else"
    );
}

#[tokio::test]
async fn the_rate_is_kept_and_free_sessions_share_it() {
    let (sample, elapsed) = measure(Load::Open {
        per_second: 1000.0,
        connections: 8,
    })
    .await;
    assert_eq!(sample.ops + sample.unserved, 500);
    assert!(elapsed >= Duration::from_millis(495), "{elapsed:?}");
}

/// One operation that ends at once is not thousands a second.
#[tokio::test]
async fn a_low_rate_is_that_of_the_arrivals() {
    let (sample, elapsed) = measure(Load::Open {
        per_second: 5.0,
        connections: 1,
    })
    .await;
    assert_eq!(sample.ops, 2);
    // Two of a fifth of a second each; the last fifth would not be whole.
    assert!(elapsed >= Duration::from_millis(400), "{elapsed:?}");
    assert!(elapsed < Duration::from_millis(500), "{elapsed:?}");
}

/// Each operation takes 100 ms, and a thousand are due a second for one connection.
#[tokio::test]
async fn a_target_that_serves_less_than_nine_in_ten_has_failed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut h1 = H1::new(peer);
                while let Ok(Some(_)) = h1.head(true).await {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    h1.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 0)
                        .await
                        .ok();
                }
            });
        }
    });
    let load = Load::Open {
        per_second: 1000.0,
        connections: 1,
    };
    let failed = work(address, load).await.unwrap_err();
    let said = failed.to_string();
    assert!(said.contains("of 500 operations were due"), "{said}");
    assert!(failed.is_of_target() && !failed.is_fatal(), "{said}");
}
