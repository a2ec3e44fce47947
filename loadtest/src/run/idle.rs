//! Memory of idle connections: each block adds its connections to those already held and looks at what the server's
//! resident memory grew by. Nothing is closed before the end, so that freed memory cannot hide the cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block::block_of;
use super::load::Crew;
use super::working::FAILURES_IN_A_ROW;
use crate::error::{Error, Result};
use crate::http::h1::H1;
use crate::net::dial::{Dialer, Expect};
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::plan::Case;
use crate::results::Block;
use crate::session::Sample;

/// For the server to put its buffers away.
const SETTLE: Duration = Duration::from_millis(150);

/// Opens this block's connections, one request each, and leaves them idle.
pub async fn block(case: &Arc<Case>, crew: &mut Crew, pair: u32) -> Result<Block> {
    let dialer = Dialer::new(&crew.target.endpoint, vec!["http/1.1"], false)?;
    if crew.held.is_empty() {
        // The first connections also pay for what the process sets up once.
        for _ in 0..10 {
            crew.held.push(open(&dialer, case).await?);
        }
    }
    tokio::time::sleep(SETTLE).await;
    let before = crew.target.probe.resident().await;
    let start = Instant::now();
    let mut sample = Sample::default();
    let mut in_a_row = 0;
    while sample.ops < u64::from(case.load.connections()) {
        let begun = Instant::now();
        match open(&dialer, case).await {
            Ok(h1) => {
                sample.record(begun.elapsed(), 0, &h1.stream.meter().read());
                crew.held.push(h1);
                in_a_row = 0;
            }
            Err(error) => {
                sample.errors += 1;
                in_a_row += 1;
                if !error.is_of_target() || in_a_row >= FAILURES_IN_A_ROW {
                    return Err(error);
                }
            }
        }
    }
    let elapsed = start.elapsed();
    tokio::time::sleep(SETTLE).await;
    let after = crew.target.probe.resident().await;
    let rss_added = before
        .zip(after)
        .map(|(before, after)| after.cast_signed() - before.cast_signed());
    let block = block_of(pair, &crew.target.plan.name, &sample, elapsed);
    Ok(Block {
        rss_added,
        server_rss: after,
        ..block
    })
}

async fn open(dialer: &Dialer, case: &Case) -> Result<H1<Stream<Socket>>> {
    let mut h1 = H1::new(dialer.dial(Expect::Full).await?.stream);
    let endpoint = dialer.endpoint();
    let blob = format!("/blob/{}", case.down);
    let head = format!(
        "GET {} HTTP/1.1\r\nhost: {}\r\n\r\n",
        endpoint.served.page.as_deref().unwrap_or(&blob),
        endpoint.authority
    );
    let request = async {
        let head = h1.ask(head.as_bytes(), 0).await?;
        h1.drain(head.body).await?;
        if h1.is_last() {
            let why =
                "it ends a connection behind its response (`connection: close`): none stays idle";
            return Err(std::io::Error::other(why));
        }
        Ok(())
    };
    let answered = tokio::time::timeout(case.patience(), request).await;
    answered
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(|error| Error::protocol(&endpoint.name, error.to_string()))?;
    Ok(h1)
}
