//! What the generator can do by itself: HTTP requests without TLS to the tool's own stub, with one connection for the
//! floor of latency and with sixteen for the ceiling of rate; before each round a glance at the ceiling, which falls
//! where something else uses the generator's core.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::load::Crew;
use super::target::Resolved;
use crate::error::{Error, Result};
use crate::net::counts::Counter;
use crate::net::dial::Endpoint;
use crate::net::link::Link;
use crate::net::served::Served;
use crate::observe::{Probe, machine};
use crate::plan::{Case, Load, Role, Scenario, Speaks, Target};
use crate::results::findings::quantile;
use crate::results::{Headroom, histogram};
use crate::rng::Rng;
use crate::stub;

const TIME: Duration = Duration::from_millis(300);
const GLANCE: Duration = Duration::from_millis(12);

/// A stub of the tool's own, and sixteen connections to it.
#[derive(Debug)]
pub struct Ceiling {
    target: Resolved,
    many: Crew,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Ceiling {
    pub async fn start() -> Result<Self> {
        let failed = Error::system("the generator's own stub");
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
                served: Served::default(),
            }),
            speaks: Speaks::Http,
            probe: Probe::default(),
        };
        let mut many = crew(&target, 16);
        many.prepare().await?;
        Ok(Self {
            target,
            many,
            server,
        })
    }

    /// Measures for about a second.
    pub async fn headroom(&mut self) -> Result<Headroom> {
        let mut single = crew(&self.target, 1);
        single.prepare().await?;
        single.work(TIME / 3).await?;
        let (alone, _) = single.work(TIME).await?;
        single.dismiss().await;
        self.many.work(TIME / 3).await?;
        let (many, elapsed) = self.many.work(TIME).await?;
        let latency = histogram::Packed::of(&alone.latency)
            .histogram()
            .unwrap_or_else(|_| histogram::empty());
        Ok(Headroom {
            null_p50_us: quantile(&latency, 0.5).unwrap_or(0.0),
            null_p99_us: quantile(&latency, 0.99).unwrap_or(0.0),
            null_per_second: many.ops as f64 / elapsed.as_secs_f64(),
            cores: machine::cores().len(),
        })
    }

    /// Requests per second right now; none where the stub fails, which is nothing of the run's.
    pub async fn glance(&mut self) -> Option<f64> {
        let (sample, elapsed) = self.many.work(GLANCE).await.ok()?;
        Some(sample.ops as f64 / elapsed.as_secs_f64())
    }
}

fn crew(target: &Resolved, connections: u32) -> Crew {
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
    Crew::new(&case, target.clone(), &mut Rng::new(1))
}
