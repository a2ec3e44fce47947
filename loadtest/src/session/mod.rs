//! One client of one target: keeps its connection where the scenario keeps it, does one operation at a time and
//! says what it took. Load and blocks are in `run`.

mod blocks;
mod close;
mod expect;
mod fresh;
mod reopen;
mod requests;
mod sample;
mod shared;
mod token_stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::http::h1::H1;
use crate::http::h2::Call;
use crate::net::counts::Bytes;
use crate::net::dial::{Dialer, Endpoint, Expect};
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::plan::{Case, Role, Scenario};
use crate::rng::Rng;
pub use blocks::serve as serve_blocks;
use close::{CLOSE_TIMEOUT, close_shared, close_stream};
use expect::for_scenario;
use sample::Reopening;
pub use sample::Sample;
use shared::{Shared, SharedConnection};

/// One client.
#[derive(Debug)]
pub struct Session {
    case: Arc<Case>,
    dialer: Dialer,
    expect: Expect,
    open: Open,
    /// The count of its bytes when the operation under way began on it.
    begun: Bytes,
    /// What the operation under way does not count.
    reopening: Reopening,
    /// The HTTP/2 connection it may share with others.
    shared: Arc<SharedConnection>,
    rng: Rng,
}

/// The connection that outlives an operation, if the scenario has one.
#[derive(Debug)]
enum Open {
    Nothing,
    H1(H1<Stream<Socket>>),
    H2(Arc<Shared>),
    Call(Arc<Shared>, Call),
    Tcp(Stream<Socket>),
}

/// What one operation took, before it is counted.
#[derive(Debug)]
struct Outcome {
    latency: Duration,
    units: u64,
    bytes: Bytes,
}

impl Session {
    /// A client for a case; `seed` decides its part of a mix.
    pub fn new(case: &Arc<Case>, endpoint: &Arc<Endpoint>, role: Role, seed: u64) -> Result<Self> {
        let (endpoint, expect) = for_scenario(case.scenario, endpoint, role);
        let alpn = match case.scenario {
            scenario if scenario.multiplexes() => vec!["h2"],
            _ if case.scenario.speaks() == crate::plan::Speaks::Blocks => vec![],
            _ => vec!["http/1.1"],
        };
        let dialer = Dialer::new(&endpoint, alpn, case.scenario == Scenario::ResumedHandshake)?
            .timed(case.scenario.streams_tokens());
        Ok(Self {
            case: Arc::clone(case),
            dialer,
            expect,
            open: Open::Nothing,
            begun: Bytes::default(),
            reopening: Reopening::default(),
            shared: Arc::default(),
            rng: Rng::new(seed),
        })
    }

    /// Makes this client another stream on the HTTP/2 connection of `other`.
    #[must_use]
    pub fn beside(mut self, other: &Self) -> Self {
        self.shared = Arc::clone(&other.shared);
        self
    }

    /// Opens what outlives an operation, and fetches the first ticket of a resuming client.
    pub async fn prepare(&mut self) -> Result<()> {
        match self.case.scenario {
            Scenario::ResumedHandshake => {
                let dialed = self.dialer.dial(Expect::Any).await?;
                close_stream(dialed.stream).await;
                Ok(())
            }
            scenario if scenario.connects_each_time() => Ok(()),
            _ => self.connect().await.map(drop),
        }
    }

    /// Begins a block of token streams where a user might be: within the interval of a token, and within the response.
    /// Users do not start in step; a burst of all their tokens, or of all their requests each time the responses end,
    /// would be another load. The rest of a response that it begins with is no operation; its tokens count as served.
    pub async fn stagger_start(&mut self, sample: &mut Sample) -> Result<()> {
        if self.case.scenario != Scenario::TokenStream || self.case.token_interval_us == 0 {
            return Ok(());
        }
        let offset = self.rng.below(self.case.token_interval_us as usize);
        tokio::time::sleep(Duration::from_micros(offset as u64)).await;
        let rest = self.rng.below(self.case.tokens as usize) as u32;
        if rest > 0 {
            sample.units += self.tokens(rest, &mut Sample::default()).await?;
            sample.reopened += std::mem::take(&mut self.reopening).count;
        }
        Ok(())
    }

    /// One operation, counted into the sample; `due` is when it should have started.
    pub async fn operate(&mut self, due: Instant, sample: &mut Sample) -> Result<()> {
        self.reopening = Reopening::default();
        let outcome = self.perform(due, sample).await;
        sample.reopened += self.reopening.count;
        match outcome {
            Ok(outcome) => {
                sample.record(outcome.latency, outcome.units, &outcome.bytes);
                Ok(())
            }
            Err(error) => {
                self.open = Open::Nothing;
                Err(error)
            }
        }
    }

    /// Ends a persistent connection in order, so that both sides have counted the same.
    pub async fn close(&mut self) {
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Nothing => {}
            Open::H1(h1) => close_stream(h1.stream).await,
            Open::Tcp(stream) => close_stream(stream).await,
            Open::H2(shared) => close_shared(shared).await,
            Open::Call(shared, call) => {
                // A stream that ends badly was an error of its last exchange, and counted there.
                drop(timeout(CLOSE_TIMEOUT, call.finish()).await);
                close_shared(shared).await;
            }
        }
    }

    /// Gives up an operation that does not end, and the connection with it.
    pub fn abandon(&mut self) -> Error {
        self.open = Open::Nothing;
        let name = &self.dialer.endpoint().name;
        Error::protocol(name, "an operation was given up, it did not end")
    }

    async fn perform(&mut self, due: Instant, sample: &mut Sample) -> Result<Outcome> {
        let (scenario, up, down) = (self.case.scenario, self.case.up, self.case.down);
        // Seven requests in ten, two short token streams, and an upload or a fresh connection.
        let draw = if scenario == Scenario::Mix {
            self.rng.below(20)
        } else {
            0
        };
        match scenario {
            Scenario::Mix if draw == 0 => return self.fresh(due, &[(0, down)]).await,
            Scenario::RequestPerConnection | Scenario::ModelCheckpoint => {
                return self.fresh(due, &[(up, down)]).await;
            }
            // A federated client takes the model, gives its update, leaves.
            Scenario::FederatedRound => return self.fresh(due, &[(0, down), (up, 0)]).await,
            scenario if scenario.is_handshake() => return self.handshake(due).await,
            _ => {}
        }
        self.begun = self.counted();
        self.ensure_open().await?;
        let units = match draw {
            0 => self.exchange(sample).await?,
            1 => self.request(up, 0).await?,
            2..=5 => self.tokens(self.case.tokens, sample).await?,
            _ => self.request(0, down).await?,
        };
        let mut bytes = self.counted_since_begun();
        bytes.add(&self.reopening.bytes);
        Ok(Outcome {
            latency: due.elapsed().saturating_sub(self.reopening.time),
            units,
            bytes,
        })
    }

    async fn handshake(&mut self, due: Instant) -> Result<Outcome> {
        let late = due.elapsed();
        let dialed = self.dialer.dial(self.expect).await?;
        // The scheduled wait counts, the TCP connect does not: the handshake is what is measured.
        let latency = late + dialed.handshake;
        let meter = Arc::clone(dialed.stream.meter());
        close_stream(dialed.stream).await;
        Ok(Outcome {
            latency,
            units: 0,
            bytes: meter.read(),
        })
    }

    /// Whether a connection was opened: there may be one that others have opened.
    async fn connect(&mut self) -> Result<bool> {
        let scenario = self.case.scenario;
        if scenario.multiplexes() {
            let (shared, is_new) = self.shared.join(&self.dialer, self.expect).await?;
            self.open = if scenario == Scenario::GrpcStream {
                let request = self.grpc("/hybridge.demo.Echo/Stream")?;
                let call = shared.h2.stream(&request).await;
                let call = call.map_err(|error| self.failed(&error))?;
                Open::Call(shared, call)
            } else {
                Open::H2(shared)
            };
            return Ok(is_new);
        }
        let stream = self.dialer.dial(self.expect).await?.stream;
        self.open = if scenario.speaks() == crate::plan::Speaks::Blocks {
            Open::Tcp(stream)
        } else {
            Open::H1(H1::new(stream))
        };
        Ok(true)
    }

    /// One exchange on the persistent connection; its units.
    async fn exchange(&mut self, sample: &mut Sample) -> Result<u64> {
        let (up, down) = (self.case.up, self.case.down);
        match self.case.scenario {
            Scenario::TokenStream => self.tokens(self.case.tokens, sample).await,
            Scenario::GradientExchange => {
                Ok(self.request(up, 0).await? + self.request(0, down).await?)
            }
            scenario if scenario.multiplexes() => self.multiplexed().await,
            Scenario::TcpUpload | Scenario::TcpDownload | Scenario::TcpGradientExchange => {
                let Open::Tcp(stream) = &mut self.open else {
                    return Err(self.failed(&not_open()));
                };
                let done = blocks::exchange(stream, up, down).await;
                done.map(|()| up + down)
                    .map_err(|error| self.failed(&error))
            }
            _ => self.request(up, down).await,
        }
    }

    /// The persistent connection's bytes so far; nothing where there is none, or where a shared one keeps its own account.
    fn counted(&self) -> Bytes {
        match &self.open {
            Open::Nothing | Open::H2(_) | Open::Call(..) => Bytes::default(),
            Open::H1(h1) => h1.stream.meter().read(),
            Open::Tcp(stream) => stream.meter().read(),
        }
    }

    /// What the operation under way took of the connection.
    fn counted_since_begun(&self) -> Bytes {
        match &self.open {
            Open::H2(shared) | Open::Call(shared, _) => shared.take(),
            _ => self.counted().since(&self.begun),
        }
    }

    fn failed(&self, error: &std::io::Error) -> Error {
        Error::protocol(&self.dialer.endpoint().name, error.to_string())
    }
}

fn not_open() -> std::io::Error {
    std::io::ErrorKind::NotConnected.into()
}
