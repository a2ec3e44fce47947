//! A server that announces the end of a connection: no operation fails for that, none pays for the next connection, and the
//! report says how many were opened.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::http2::answer;
use crate::support::{Pki, case, endpoint, fixture, target};
use hybridge_loadtest::http::h1::H1;
use hybridge_loadtest::net::stream::Stream;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::run::idle;
use hybridge_loadtest::run::load::Crew;
use hybridge_loadtest::session::Sample;
use hybridge_loadtest::tls::Group;
use hybridge_loadtest::{report, stub};
use rustls::ServerConnection;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const GROUPS: [Group; 1] = [Group::X25519];
/// What a new connection has to wait for.
const DELAY: Duration = Duration::from_millis(100);

/// A server that ends each connection in order behind so many requests, over HTTP/2 if it is asked for that.
struct Ending {
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
}

async fn ending(pki: &Pki, requests: usize, h2: bool) -> Ending {
    let config = pki.speaking(&GROUPS, &[if h2 { "h2" } else { "http/1.1" }]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            peer.set_nodelay(true).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            tokio::spawn(async move {
                tokio::time::sleep(DELAY).await;
                let stream = Stream::handshake(peer, tls.into(), Arc::default()).await?;
                if h2 {
                    over_http2(stream, requests).await;
                    return Ok(());
                }
                over_http1(stream, requests).await
            });
        }
    });
    Ending { address, opened }
}

async fn over_http1(stream: Stream<tokio::net::TcpStream>, requests: usize) -> std::io::Result<()> {
    let mut h1 = H1::new(stream);
    for number in 1..=requests {
        let Some(head) = h1.head(true).await? else {
            break;
        };
        h1.drain(head.body).await?;
        let length = head.target.strip_prefix("/blob/").unwrap_or("0");
        let length = length.parse().unwrap();
        let end = if number == requests {
            "connection: keep-alive, Close\r\n"
        } else {
            ""
        };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{end}\r\n");
        h1.send(head.as_bytes(), length).await?;
    }
    h1.stream.shutdown().await
}

async fn over_http2(stream: Stream<tokio::net::TcpStream>, requests: usize) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut number = 0;
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, "0"));
        number += 1;
        if number == requests {
            connection.graceful_shutdown();
        }
    }
}

fn crew(pki: &Pki, server: &Ending, case: Case) -> Crew {
    let endpoint = endpoint("a", server.address, pki, &GROUPS);
    Crew::new(
        &Arc::new(case),
        target(Role::Subject, endpoint),
        &mut Rng::new(1),
    )
}

/// A block against it; nothing fails, and the sample knows of each connection behind the first.
async fn measured(server: Ending, pki: &Pki, case: Case, first: u64) -> Sample {
    let scenario = case.scenario;
    let mut crew = crew(pki, &server, case);
    crew.prepare().await.unwrap();
    let (sample, _) = crew.work(Duration::from_secs(1)).await.unwrap();
    crew.dismiss().await;
    assert!(sample.ops >= 4, "{scenario:?}: {} operations", sample.ops);
    assert_eq!(sample.errors, 0, "{scenario:?}");
    let opened = server.opened.load(Ordering::Relaxed) as u64;
    let first = if scenario == Scenario::FederatedRound {
        sample.ops
    } else {
        first
    };
    assert_eq!(sample.reopened, opened - first, "{scenario:?}");
    assert!(sample.reopened > 0, "{scenario:?}");
    sample
}

fn slow(sample: &Sample) -> usize {
    let delay = DELAY.as_nanos() as u64;
    sample
        .latency
        .iter()
        .filter(|latency| **latency >= delay)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_announced_to_end_is_no_failed_operation_and_in_no_latency() {
    let pki = Pki::new();
    for (scenario, load) in [
        (Scenario::H1Keepalive, Load::Closed { connections: 2 }),
        (
            Scenario::H1Keepalive,
            Load::Open {
                per_second: 50.0,
                connections: 2,
            },
        ),
        (Scenario::GradientExchange, Load::Closed { connections: 2 }),
    ] {
        let case = Case {
            load,
            up: if scenario == Scenario::GradientExchange {
                100
            } else {
                0
            },
            down: 1000,
            ..case(scenario)
        };
        let server = ending(&pki, 5, false).await;
        let sample = measured(server, &pki, case, 2).await;
        assert_eq!(sample.bytes.handshakes, 0, "{scenario:?}");
        assert!(sample.bytes.plain_down >= sample.ops * 1000, "{scenario:?}");
        assert!(sample.bytes.plain_down < sample.ops * 1200, "{scenario:?}");
        if let Load::Closed { .. } = load {
            // Other slowness is the machine's.
            assert!(
                (slow(&sample) as u64) < sample.reopened,
                "{scenario:?}: {sample:?}"
            );
        }
    }
}

/// The model comes down and the update goes up on two connections where the first one ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_of_two_requests_has_a_connection_for_each_if_need_be() {
    let pki = Pki::new();
    let load = Load::Closed { connections: 4 };
    let case = Case {
        load,
        up: 100,
        down: 1000,
        ..case(Scenario::FederatedRound)
    };
    let sample = measured(ending(&pki, 1, false).await, &pki, case, 0).await;
    assert_eq!(
        sample.bytes.handshakes, sample.ops,
        "its own, not the second"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_calls_after_a_goaway_are_made_on_another_connection() {
    let pki = Pki::new();
    for (scenario, streams) in [
        (Scenario::H2Keepalive, 1),
        (Scenario::H2Keepalive, 4),
        (Scenario::GrpcUnary, 4),
    ] {
        let load = Load::Closed { connections: 1 };
        let case = Case {
            load,
            streams,
            up: 0,
            down: 0,
            ..case(scenario)
        };
        let server = ending(&pki, 5, true).await;
        let sample = measured(server, &pki, case, 1).await;
        assert_eq!(sample.bytes.handshakes, 0, "{scenario:?}");
    }
    // A stream that is open goes on, and its next message opens another: the server waits for its end.
    let load = Load::Closed { connections: 1 };
    let case = Case {
        load,
        up: 100,
        down: 100,
        ..case(Scenario::GrpcStream)
    };
    measured(ending(&pki, 1, true).await, &pki, case, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_is_idle_that_has_ended() {
    let pki = Pki::new();
    let idle = case(Scenario::Idle);
    let mut crew = crew(&pki, &ending(&pki, 1, false).await, idle.clone());
    let error = idle::block(&Arc::new(idle), &mut crew, 0)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("none stays idle"), "{error}");
}

#[test]
fn the_report_says_how_many_were_opened_again() {
    let mut results = fixture::results();
    assert!(!report::text(&results).contains("opened again"));
    results.cases[4].blocks[0].reopened = 1200;
    let text = report::text(&results);
    assert!(text.contains("opened again within blocks"), "{text}");
    assert!(text.contains("hybrid 1200, classical 0"), "{text}");
}

/// A client of HTTP/1.0 is told nothing and waits for the end.
#[tokio::test]
async fn the_stub_ends_a_connection_of_http_1_0() {
    let (mut client, server) = tokio::io::duplex(4096);
    let served = tokio::spawn(stub::serve_connection(server));
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut whole = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut client, &mut whole)
        .await
        .unwrap();
    served.await.unwrap().unwrap();
    assert!(whole.starts_with(b"HTTP/1.1 200"));
}
