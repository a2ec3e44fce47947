//! Every metric: name, help, type, labels. Imports nothing of ours; no global registry.
//!
//! Label values come from closed sets. What a request or a connection touches often is resolved once
//! per listener (`ListenerMetrics`), so that recording is an atomic addition.

mod buckets;
mod clients;
mod connections;
mod egress;
mod egress_families;
mod families;
mod handshakes;
mod injections;
mod labels;
mod listener;
mod log;
mod process;
mod requests;
mod sockets;
mod spans;
mod streams;
mod withdraw;

use std::collections::BTreeMap;

use prometheus::core::Collector as _;
use prometheus::{Encoder, Gauge, IntCounterVec, IntGauge, Registry, TextEncoder};
use strum::VariantNames;

use self::clients::Clients;
use self::connections::Connections;
pub use self::egress::EgressMetrics;
use self::egress_families::Egress;
use self::families::{Families, named};
use self::handshakes::Handshakes;
pub use self::injections::Injections;
pub use self::labels::{Code, GRPC_CODES, PanickedTask, RequestProtocol, ShedReason};
pub use self::listener::{Directions, HandshakeSample, ListenerMetrics};
pub use self::log::log_line_lost;
use self::requests::Requests;
pub use self::sockets::ListenerSockets;
pub use self::spans::SpanMetrics;
use self::spans::Spans;
pub use self::streams::StreamMetrics;
use self::streams::Streams;

/// The registry and every family in it.
pub struct Metrics {
    registry: Registry,
    handshakes: Handshakes,
    connections: Connections,
    requests: Requests,
    streams: Streams,
    spans: Spans,
    clients: Clients,
    egress: Egress,
    credential_reloads: IntCounterVec,
    config_reloads: IntCounterVec,
    credentials_failing: IntGauge,
    config_failing: IntGauge,
    panics: IntCounterVec,
    draining: IntGauge,
}

impl Metrics {
    /// Registers everything; an error is a programming mistake (a name used twice).
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let family = Families(&registry);
        let metrics = Self {
            handshakes: Handshakes::register(&family)?,
            connections: Connections::register(&family)?,
            requests: Requests::register(&family)?,
            streams: Streams::register(&family)?,
            spans: Spans::register(&family)?,
            clients: Clients::register(&family)?,
            egress: Egress::register(&family)?,
            credential_reloads: family.counter(
                "credential_reloads_total",
                "Changes of certificates and of client-ca taken over (ok) or refused, the last good ones kept (failed).",
                &["result"],
            )?,
            config_reloads: family.counter(
                "config_reloads_total",
                "Configurations read at SIGHUP, in use (ok) or refused, the last good one kept (failed).",
                &["result"],
            )?,
            credentials_failing: family.single(
                "credential_reloads_failing",
                "Certificates and files of CAs, revocation lists and keys whose last reload failed and has not been mended.",
            )?,
            config_failing: family.single(
                "config_reload_failing",
                "1 while the last configuration read at SIGHUP is refused, 0 otherwise.",
            )?,
            panics: family.counter(
                "panics_total",
                "Panics, by the task that one ended: faults of this program.",
                &["task"],
            )?,
            draining: family.single("draining", "1 from the shutdown signal on, 0 before.")?,
            registry,
        };
        process::register(&metrics.registry)?;
        log::register(&metrics.registry)?;
        for result in ["ok", "failed"] {
            metrics.credential_reloads.with_label_values(&[result]);
            metrics.config_reloads.with_label_values(&[result]);
        }
        for task in PanickedTask::VARIANTS {
            metrics.panics.with_label_values(&[*task]);
        }
        Ok(metrics)
    }

    /// Counts a panic.
    pub fn panicked(&self, task: PanickedTask) {
        self.panics.with_label_values(&[task.as_str()]).inc();
    }

    /// States the versions in `build_info`.
    pub fn set_build_info(
        &self,
        version: &str,
        rustls: &str,
        aws_lc: &str,
    ) -> Result<(), prometheus::Error> {
        let opts = named("build_info", "Versions of this build; always 1.")
            .const_label("version", version)
            .const_label("rustls", rustls)
            .const_label("aws_lc", aws_lc);
        let gauge = Gauge::with_opts(opts)?;
        gauge.set(1.0);
        self.registry.register(Box::new(gauge))
    }

    /// Adds a family of a test's own.
    #[cfg(test)]
    pub(crate) fn register(&self, collector: Box<dyn prometheus::core::Collector>) {
        let registered = self.registry.register(collector);
        assert!(registered.is_ok(), "{registered:?}");
    }

    /// Counts a reload of a certificate.
    pub fn credential_reload(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.credential_reloads.with_label_values(&[result]).inc();
    }

    /// Counts a reload of the configuration.
    pub fn config_reload(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.config_reloads.with_label_values(&[result]).inc();
    }

    /// States how many certificates and files, and whether the configuration, stand refused.
    pub fn set_failing(&self, credentials: usize, config: bool) {
        let credentials = i64::try_from(credentials).unwrap_or(i64::MAX);
        self.credentials_failing.set(credentials);
        self.config_failing.set(i64::from(config));
    }

    /// The families of spans, which appear with the first exporter.
    pub fn spans(&self) -> SpanMetrics {
        let task = PanickedTask::Traces.as_str();
        self.spans.resolved(self.panics.with_label_values(&[task]))
    }

    /// Marks the shutdown.
    pub fn set_draining(&self, draining: bool) {
        self.draining.set(i64::from(draining));
    }

    /// Completed handshakes of a listener by group and kind, those that happened.
    pub fn handshake_counts(&self, listener: &str) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for family in self.handshakes.completed.collect() {
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let pairs = metric.get_label().iter();
                    let found = pairs.filter(|pair| pair.name() == name);
                    found.map(|pair| pair.value().to_owned()).next()
                };
                let (Some(name), Some(group), Some(kind)) =
                    (label("listener"), label("group"), label("kind"))
                else {
                    continue;
                };
                let count = metric.get_counter().get_value() as u64;
                if name == listener && count > 0 {
                    *counts.entry(group).or_default().entry(kind).or_default() += count;
                }
            }
        }
        counts
    }

    /// The text exposition format 0.0.4.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}
