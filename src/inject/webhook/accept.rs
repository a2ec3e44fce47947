//! The webhook's connections: accepted, secured with hybrid TLS, counted, and handed to `connection`.

use std::sync::Arc;
use std::time::Duration;

use super::connection;
use super::planning::Reviews;
use super::respond::Webhook;
use super::work::Work;
use crate::admin::unread::Bounded;
use crate::drain::{Drain, Watch};
use crate::inject::error::Error;
use crate::io::TrafficCounters;
use crate::listener::{Accepted, Listener};
use crate::log_limit::{LogLimit, log_admitted};
use crate::metrics::{ListenerMetrics, Metrics, PanickedTask};
use crate::panics;
use crate::proxy::connection::{Open, overdue, sample, shed_reason, traffic_counters};
use crate::proxy::plain_http::PLAIN_HTTP;
use crate::run::announce;
use crate::tls;
use crate::tls::error::HandshakeError;
use crate::tls::handshake;
use crate::tls::policy::{Mode, TlsPolicy};
use crate::tls::queue::HandshakeQueue;
use crate::tls::reload::CredentialStore;
use crate::tls::server::TlsServer;

/// How a connection ends: with a handshake, without one, to make room for another, or by a panic.
const CLOSED: &str = "closed";
const HANDSHAKE_FAILED: &str = "handshake_failed";
const SHED: &str = "shed";
const INTERNAL: &str = "internal";
/// From the accepted connection to the finished handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Lines about clients without a handshake, of which anybody causes as many as they like.
static NO_HANDSHAKE: LogLimit = LogLimit::new(Duration::from_secs(1), 10);

/// What every connection of the webhook shares.
pub(crate) struct Shared {
    tls: TlsServer,
    queue: Arc<HandshakeQueue>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    traffic: TrafficCounters,
    pub(crate) reviews: Arc<Reviews>,
}

impl Shared {
    pub(crate) fn new(
        name: &str,
        max_connections: usize,
        store: &Arc<CredentialStore>,
        metrics: &Arc<Metrics>,
        webhook: Webhook,
    ) -> Result<Self, Error> {
        let settings = tls::Settings {
            policy: TlsPolicy::new(Mode::HybridPreferred, None, None)
                .map_err(|e| Error::start("set the policy", e))?,
            cert: store.cert_path().to_owned(),
            key: store.key_path().to_owned(),
            certificates: tls::certificates::Settings::default(),
            wait_for_certificate: false,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            max_handshakes: max_connections,
            handshake_rate_per_source: None,
            tickets: 1,
            ticket_keys: None,
            client_auth: None,
            spiffe: None,
            spiffe_hint: None,
            profile: tls::policy::Profile::Off,
        };
        let certificates: Arc<dyn rustls::server::ResolvesServerCert> = Arc::clone(store) as _;
        let tls = TlsServer::new(&settings, &certificates, None, &[b"h2", b"http/1.1"])
            .map_err(|e| Error::start("prepare TLS", e))?
            .with_plaintext(PLAIN_HTTP);
        tls.warm_up();
        let metrics = metrics.listener(name);
        metrics.announce(
            &HandshakeError::REASONS,
            &[CLOSED, HANDSHAKE_FAILED, SHED, INTERNAL],
            &[],
        );
        announce(&metrics, tls.policy());
        let metrics = Arc::new(metrics);
        let counted = Arc::clone(&metrics);
        let panicked = move || counted.panicked(PanickedTask::Scheduler);
        Ok(Self {
            queue: tls.queue(1, Arc::new(panicked)),
            tls,
            traffic: traffic_counters(&metrics),
            metrics,
            reviews: Reviews::new(webhook),
        })
    }
}

/// Accepts until the task is aborted.
pub(crate) async fn accept(mut listener: Listener, shared: Arc<Shared>, drain: Drain) {
    loop {
        let accepted = listener.accept().await;
        let work = handle_connection(accepted, Arc::clone(&shared), drain.watch());
        let metrics = Arc::clone(&shared.metrics);
        panics::spawn(work, move || {
            metrics.panicked(PanickedTask::Connection);
            metrics.closed(INTERNAL);
        });
    }
}

async fn handle_connection(accepted: Accepted, shared: Arc<Shared>, watch: Watch) {
    let Accepted {
        stream,
        client,
        permit,
    } = accepted;
    let _open = Open::new(&shared.metrics);
    let mut begins = handshake::Client::new(client.ip());
    // A client that says nothing holds no drain up.
    begins.overdue = Some(Box::pin(overdue(&watch)));
    let handshake = Box::pin(handshake::accept(
        Bounded::new(stream),
        begins,
        &shared.tls,
        &shared.queue,
        shared.traffic.clone(),
    ));
    let secured = tokio::select! {
        biased;
        secured = handshake => secured,
        () = permit.activity().shed() => return shared.metrics.closed(SHED),
    };
    match secured {
        Ok((stream, session)) => {
            shared.metrics.handshake(&sample(&session));
            let reviews = Arc::clone(&shared.reviews);
            let activity = Arc::clone(permit.activity());
            let work = Arc::new(Work::new(client.ip(), activity, reviews.owed().clone()));
            let metrics = Arc::clone(&shared.metrics);
            let panicked = Arc::new(move || metrics.panicked(PanickedTask::Stream));
            connection::serve(stream, session.alpn, reviews, watch, work, panicked).await;
            shared.metrics.closed(CLOSED);
        }
        Err(failure) => {
            let reason = failure.error.reason();
            shared.metrics.handshake_failed(reason);
            if let Some(reason) = shed_reason(&failure.error) {
                shared.metrics.shed(reason);
            }
            shared.metrics.closed(HANDSHAKE_FAILED);
            // A TCP health check is routine, as for a listener, and takes no line from others.
            let routine = matches!(failure.error, HandshakeError::NoHello);
            log_admitted!(
                info,
                (!routine).then(|| NO_HANDSHAKE.admit()).flatten(),
                "no handshake",
                %client,
                reason,
                error = %failure.error
            );
        }
    }
}
