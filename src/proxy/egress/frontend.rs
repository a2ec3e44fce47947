//! What all workers of an egress have in common.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use strum::VariantNames;

use super::log::EgressLog;
use super::settings::{Capture, Destination, Settings};
use crate::log_limit::LogLimit;
use crate::metrics::{EgressMetrics, ListenerMetrics};
use crate::proxy::error::{BROKEN_BODY, Outcome, UpstreamError};
use crate::proxy::failure_log::FailureLog;
use crate::proxy::origin::{Lookups, Origin, OriginError, Outgoing, Target, TargetsSeen};
use crate::proxy::upstream::UpstreamPermits;
use crate::tls::client::{ClientError, ClientTls};

/// Between two lines that say that a server takes none of our certificates.
const WITHHELD_EVERY: Duration = Duration::from_hours(1);

/// What all workers of an egress have in common.
pub struct EgressFrontend {
    pub(super) settings: Settings,
    pub(super) origin: Arc<Origin>,
    pub(super) log: EgressLog,
    /// Of requests.
    pub(super) failures: Arc<FailureLog>,
    pub(super) permits: Arc<UpstreamPermits>,
}

impl EgressFrontend {
    /// Announces the metrics. `own` are the addresses that this egress listens on.
    pub fn new(
        name: &str,
        settings: &Settings,
        tls: &Arc<ClientTls>,
        metrics: ListenerMetrics,
        egress: EgressMetrics,
        permits: &Arc<UpstreamPermits>,
        own: Vec<SocketAddr>,
    ) -> Self {
        tls.warm_up();
        let of_upstream: &[&str] = if settings.serves_requests() {
            &UpstreamError::REASONS
        } else {
            &[BROKEN_BODY]
        };
        metrics.announce(
            &ClientError::REASONS,
            Outcome::VARIANTS,
            &[&OriginError::REASONS[..], of_upstream].concat(),
        );
        if let Some(facts) = tls.facts() {
            metrics.set_certificate_validity(facts.not_before, facts.not_after);
        }
        let metrics = Arc::new(metrics);
        let policy = tls.settings().policy.mode().name();
        let counted = egress.clone();
        let panicked = Arc::new(move || counted.panicked());
        let target = settings.destination.to_string();
        Self {
            failures: Arc::new(FailureLog::of_targets(name, target.clone())),
            log: EgressLog::new(name, policy, target, &metrics),
            origin: Arc::new(Origin {
                listener: name.to_owned(),
                server_name: settings.server_name.clone(),
                tls: Arc::clone(tls),
                resolve_timeout: settings.resolve_timeout,
                lookups: Lookups::new(panicked),
                connect_timeout: settings.connect_timeout,
                own,
                metrics,
                egress,
                next: AtomicUsize::new(0),
                seen: Arc::default(),
                withheld: LogLimit::new(WITHHELD_EVERY, 1),
                outgoing: (settings.destination.capture() == Capture::Redirect)
                    .then(Outgoing::default),
            }),
            settings: settings.clone(),
            permits: Arc::clone(permits),
        }
    }

    /// Whether a rule lets apps reach a target.
    pub(super) fn allows(&self, target: &Target) -> bool {
        match &self.settings.destination {
            Destination::Target(only) => only == target,
            Destination::Named(named) => named.allowed.iter().any(|rule| rule.matches(target)),
        }
    }

    /// The egress's metrics.
    pub fn metrics(&self) -> &Arc<ListenerMetrics> {
        &self.log.metrics
    }

    /// What the operator gave the connections to be made with.
    pub fn tls(&self) -> &Arc<ClientTls> {
        &self.origin.tls
    }

    /// The targets reached last.
    pub fn seen(&self) -> &Arc<TargetsSeen> {
        &self.origin.seen
    }
}
