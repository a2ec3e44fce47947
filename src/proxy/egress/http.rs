//! An app that speaks HTTP: its requests go over connections that are kept, and its answers say how those
//! were keyed.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::app::{App, Begins};
use super::frontend::EgressFrontend;
use super::log::Closed;
use super::pools::Pools;
use crate::drain::{Phase, Watch};
use crate::listener::Activity;
use crate::metrics::PanickedTask;
use crate::panics::OnPanic;
use crate::proxy::accepted::Accepted;
use crate::proxy::access_log::Open;
use crate::proxy::arrival::overdue;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::headers::ForwardedHeaders;
use crate::proxy::connect;
use crate::proxy::context::{Context, Targets};
use crate::proxy::downstream::{http1, http2};
use crate::proxy::end::{Sent, end};
use crate::proxy::error::Outcome;
use crate::proxy::failure_log::FailureLog;
use crate::proxy::identity_fields::IdentityFields;
use crate::proxy::origin::Target;
use crate::proxy::request_log::RequestFields;
use crate::proxy::scheduler::RequestScheduler;
use crate::proxy::settings::{ForwardedMode, Settings, UpstreamAddr, UpstreamProxyProtocol};
use crate::proxy::upstream::Upstream;
use crate::proxy_protocol::Networks;
use crate::worker::Load;

/// How long a connection to a server is kept that serves no request: most servers keep theirs for longer.
const KEPT: Duration = Duration::from_mins(1);
/// Connections kept to one server, all workers together.
const MOST_KEPT: usize = 1024;
/// The HTTP of an egress at one worker.
pub(super) struct HttpSide {
    settings: Arc<Settings>,
    pools: Arc<Pools>,
    failures: Arc<FailureLog>,
    load: Arc<Load>,
    scheduler: Arc<RequestScheduler>,
}

/// What the data path is told that listeners share. No upstream of this host is meant.
fn settings(egress: &super::settings::Settings) -> Settings {
    Settings {
        protocol: egress.protocol,
        upstream: UpstreamAddr::Unix("".into()),
        upstream_http: egress.upstream_http,
        connect_timeout: egress.connect_timeout,
        upstream_idle_timeout: KEPT,
        max_idle_upstreams: MOST_KEPT,
        head_timeout: Duration::from_secs(30),
        keep_alive_timeout: Some(Duration::from_secs(620)),
        idle_timeout: egress.idle_timeout,
        client_timeout: None,
        max_head_bytes: 64 * 1024,
        max_headers: 100,
        max_streams: 250,
        forwarded: ForwardedMode::Append,
        identity: IdentityFields::default(),
        access_log: RequestFields::default(),
        stream_metrics: false,
        proxy_protocol_from: Networks::default(),
        upstream_proxy_protocol: UpstreamProxyProtocol::Off,
    }
}

impl HttpSide {
    pub(super) fn new(front: &Arc<EgressFrontend>, load: &Arc<Load>, workers: usize) -> Self {
        let settings = Arc::new(settings(&front.settings));
        let counts = |task| -> OnPanic {
            let metrics = Arc::clone(&front.log.metrics);
            Arc::new(move || metrics.panicked(task))
        };
        let max_idle = settings.max_idle_upstreams.div_ceil(workers);
        let of_upstream = counts(PanickedTask::Upstream);
        Self {
            pools: Arc::new(Pools::new(front, &settings, max_idle, of_upstream)),
            settings,
            failures: Arc::clone(&front.failures),
            load: Arc::clone(load),
            scheduler: RequestScheduler::start(counts(PanickedTask::Scheduler)),
        }
    }

    /// Serves one connection of an app from accepted to closed; `drain` is held until then.
    pub(super) async fn serve(
        &self,
        front: &EgressFrontend,
        target: &Target,
        accepted: Accepted<TcpStream>,
        drain: Watch,
    ) {
        let _open = Open::new(&front.log.metrics);
        let mut closed = Closed::new(&front.log, accepted.client, accepted.at);
        let activity = Arc::clone(accepted.permit.0.activity());
        let mut app = App::new(accepted.io);
        let mut cut = drain.reached(Phase::Aborting);
        let begins = {
            tokio::select! {
                biased;
                begins = timeout(self.settings.head_timeout, app.begins()) => {
                    begins.map_err(|_| Outcome::Timeout)
                }
                () = &mut cut => Err(Outcome::Cut),
                () = activity.shed() => Err(Outcome::Shed),
                () = overdue(&drain) => Err(Outcome::Drained),
            }
        };
        let begins = match begins {
            Err(Outcome::Timeout) if app.has_begun() => Begins::Unfinished,
            Ok(begins) if begins != Begins::Gone => begins,
            nothing => {
                app.has_begun_nothing();
                return closed.ended(nothing.err().unwrap_or(Outcome::Closed), &drain);
            }
        };
        if begins == Begins::Tls {
            front.log.double_tls(accepted.client, closed.target());
            let outcome = refuse_tls(app, &drain).await;
            return closed.ended(outcome, &drain);
        }
        let client = accepted.client.ip();
        let upstream = self.pools.to(target);
        let context = self.context(front, upstream, client, &drain, activity);
        // Boxed: a connection holds only the state of its own version.
        let serving: Pin<Box<dyn Future<Output = Outcome> + Send>> = match begins {
            Begins::Http2 => Box::pin(http2::serve(app, Arc::new(context))),
            Begins::Unfinished => Box::pin(http1::refuse_unfinished(app, context)),
            _ => Box::pin(http1::serve(app, context)),
        };
        let outcome = tokio::select! {
            biased;
            outcome = serving => outcome,
            () = &mut cut => Outcome::Cut,
        };
        closed.ended(outcome, &drain);
    }

    /// Serves an app whose requests name their targets; the first is there, and goes to `target`.
    pub(super) async fn serve_named(
        &self,
        front: &EgressFrontend,
        target: &Target,
        (app, client): (H1<App>, IpAddr),
        drain: &Watch,
        activity: Arc<Activity>,
    ) -> Outcome {
        let targets: Arc<dyn Targets> = Arc::clone(&self.pools) as _;
        // Each request has its own, which the rules allow.
        let upstream = self.pools.unkept(target);
        let context = Context {
            targets: Some(targets),
            ..self.context(front, upstream, client, drain, activity)
        };
        tokio::select! {
            biased;
            outcome = http1::serve_from(app, context) => outcome,
            () = drain.reached(Phase::Aborting) => Outcome::Cut,
        }
    }

    fn context(
        &self,
        front: &EgressFrontend,
        upstream: Arc<Upstream>,
        client: IpAddr,
        drain: &Watch,
        activity: Arc<Activity>,
    ) -> Context {
        Context {
            settings: Arc::clone(&self.settings),
            upstream,
            targets: None,
            metrics: Arc::clone(&front.log.metrics),
            failures: Arc::clone(&self.failures),
            identity: ForwardedHeaders::silent(client),
            signature: None,
            observers: None,
            streams: None,
            responses: None,
            drain: drain.clone(),
            activity,
            load: Arc::clone(&self.load),
            scheduler: Arc::clone(&self.scheduler),
        }
    }
}

/// Says in HTTP, which most of those who speak TLS here can show, that this port takes plaintext.
async fn refuse_tls(app: App, drain: &Watch) -> Outcome {
    let mut app = H1::new(app);
    let reason = "hybridge: double_tls: this port takes plaintext: use http://";
    let _ = connect::refuse(&mut app, 400, reason).await;
    let outcome = Outcome::ProtocolError;
    end(&mut app, Sent::Whole, outcome, Instant::now(), drain).await
}
