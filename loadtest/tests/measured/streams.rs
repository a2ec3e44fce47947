//! Of a token stream that breaks nothing is measured, as of any other operation that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::support::{case, target};
use hybridge_loadtest::http::h1::H1;
use hybridge_loadtest::net::counts::Counter;
use hybridge_loadtest::net::dial::Endpoint;
use hybridge_loadtest::net::served::Served;
use hybridge_loadtest::net::stamp;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::run::load::Crew;
use tokio::net::TcpListener;

const TOKENS: usize = 4;

/// Streams stamped tokens; every fifteenth stream ends after two.
async fn breaking_server() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicU32::new(0));
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut h1 = H1::new(peer);
                while let Some(head) = h1.head(true).await? {
                    h1.drain(head.body).await?;
                    let token = || format!("id: {}\ndata: x\n\n", stamp::stamp());
                    let length = token().len() * TOKENS;
                    let breaks = count.fetch_add(1, Ordering::Relaxed) % 15 == 7;
                    let sent = if breaks { 2 } else { TOKENS };
                    let body: String = (0..sent).map(|_| token()).collect();
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                    h1.send(head.as_bytes(), 0).await?;
                    if breaks {
                        break;
                    }
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

#[tokio::test]
async fn a_stream_that_breaks_is_in_no_figure() {
    let address = breaking_server().await;
    let endpoint = Arc::new(Endpoint {
        name: "breaking".into(),
        address,
        authority: address.to_string(),
        tls: None,
        rtt: Duration::ZERO,
        totals: Arc::new(Counter::default()),
        served: Served::default(),
    });
    let case = Arc::new(Case {
        load: Load::Closed { connections: 1 },
        tokens: TOKENS as u32,
        ..case(Scenario::TokenStream)
    });
    let mut crew = Crew::new(&case, target(Role::Subject, endpoint), &mut Rng::new(1));
    crew.prepare().await.unwrap();
    let (sample, _) = crew.work(Duration::from_millis(200)).await.unwrap();
    assert!(sample.errors > 0 && sample.ops > 30, "{sample:?}");
    let ops = sample.ops as usize;
    assert_eq!(sample.first.len(), ops);
    assert_eq!(sample.gap.len(), ops * (TOKENS - 1));
    assert_eq!(sample.late.len(), ops * TOKENS);
}
