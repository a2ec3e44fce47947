//! What the generator can do by itself: HTTP requests without TLS to the tool's own stub, with one connection for
//! the floor of latency and with sixteen for the ceiling of rate.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::error::{Error, Result};
use crate::net::counts::Counter;
use crate::net::dial::Endpoint;
use crate::net::link::Link;
use crate::observe::{Probe, machine};
use crate::plan::{Case, Load, Role, Scenario, Speaks, Target};
use crate::results::findings::quantile;
use crate::results::{Headroom, histogram};
use crate::rng::Rng;
use crate::run::load::Crew;
use crate::run::target::Resolved;
use crate::stub;

const TIME: Duration = Duration::from_millis(300);

/// Measures for about a second.
pub async fn measure() -> Result<Headroom> {
    let failed = |source| Error::System {
        what: "the generator's own stub",
        source,
    };
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let server = tokio::spawn(stub::serve(listener));
    let target = Resolved {
        plan: Target::new(
            "null",
            format!("http://{address}"),
            Role::Baseline,
            Vec::new(),
        ),
        endpoint: Arc::new(Endpoint {
            name: "null".into(),
            address,
            authority: address.to_string(),
            tls: None,
            rtt: Duration::ZERO,
            totals: Arc::new(Counter::default()),
        }),
        speaks: Speaks::Http,
        probe: Probe::default(),
    };
    let (single, _) = run(&target, 1).await?;
    let (many, elapsed) = run(&target, 16).await?;
    server.abort();
    let latency = histogram::Packed::of(&single)
        .histogram()
        .unwrap_or_else(|_| histogram::empty());
    Ok(Headroom {
        null_p50_us: quantile(&latency, 0.5).unwrap_or(0.0),
        null_p99_us: quantile(&latency, 0.99).unwrap_or(0.0),
        null_per_second: many.len() as f64 / elapsed.as_secs_f64(),
        cores: machine::cores().len(),
    })
}

async fn run(target: &Resolved, connections: u32) -> Result<(Vec<u64>, Duration)> {
    let case = Arc::new(Case {
        scenario: Scenario::H1Keepalive,
        link: Link::default(),
        load: Load::Closed { connections },
        up: 0,
        down: 1024,
        tokens: 0,
        token_interval_us: 0,
        streams: 1,
        rounds: 2,
        block_ms: 0,
        warmup_ms: 0,
    });
    let mut crew = Crew::new(&case, target.clone(), &mut Rng::new(1));
    crew.prepare().await?;
    crew.work(TIME / 3).await?;
    let (sample, elapsed) = crew.work(TIME).await?;
    crew.dismiss().await;
    Ok((sample.latency, elapsed))
}
