//! Every metric: name, help, type, labels. Imports nothing of ours; no global registry.
//!
//! Label values come from closed sets. What a request or a connection touches often is resolved once
//! per listener (`ListenerMetrics`), so that recording is an atomic addition.

mod buckets;
mod clients;
mod egress;
mod egress_families;
mod families;
mod injections;
mod labels;
mod listener;
mod process;
mod sockets;
mod spans;
mod streams;
mod withdraw;

use std::collections::BTreeMap;

use prometheus::core::Collector as _;
use prometheus::{
    Encoder, Gauge, GaugeVec, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Registry,
    TextEncoder,
};
use strum::VariantNames;

use self::buckets::{COMPUTE_SECONDS, HANDSHAKE_BYTES, HANDSHAKE_SECONDS, REQUEST_SECONDS};
use self::clients::Clients;
pub use self::egress::EgressMetrics;
use self::egress_families::Egress;
use self::families::{Families, named};
pub use self::injections::Injections;
pub use self::labels::{Code, GRPC_CODES, PanickedTask, RequestProtocol, ShedReason};
pub use self::listener::{Directions, HandshakeSample, ListenerMetrics};
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
    panics: IntCounterVec,
    draining: IntGauge,
}

/// Families about handshakes.
struct Handshakes {
    duration: HistogramVec,
    compute: HistogramVec,
    key_exchange: HistogramVec,
    bytes: HistogramVec,
    completed: IntCounterVec,
    failed: IntCounterVec,
    retried: IntCounterVec,
}

impl Handshakes {
    fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        let labels = &["listener", "group", "kind"];
        Ok(Self {
            duration: family.histogram(
                "handshake_duration_seconds",
                "First ClientHello byte read to handshake complete.",
                HANDSHAKE_SECONDS,
                labels,
            )?,
            compute: family.histogram(
                "handshake_compute_seconds",
                "Time inside TLS code during a handshake; waiting for the peer is excluded.",
                COMPUTE_SECONDS,
                labels,
            )?,
            key_exchange: family.histogram(
                "key_exchange_seconds",
                "The server's key-exchange operation alone.",
                COMPUTE_SECONDS,
                &["group"],
            )?,
            bytes: family.histogram(
                "handshake_bytes",
                "Bytes below TLS up to handshake completion, record headers included. Session tickets sent with completion are counted (direction out); application data that came along is not.",
                HANDSHAKE_BYTES,
                &["listener", "group", "kind", "direction"],
            )?,
            completed: family.counter(
                "handshakes_total",
                "Completed handshakes; offered is the strongest class the client listed.",
                &["listener", "group", "kind", "offered"],
            )?,
            failed: family.counter(
                "handshake_failures_total",
                "Connections that ended before their handshake did.",
                &["listener", "reason"],
            )?,
            retried: family.counter(
                "hello_retry_requests_total",
                "HelloRetryRequests sent, by the group asked for; resumed handshakes included.",
                &["listener", "group"],
            )?,
        })
    }
}

/// Families about connections.
struct Connections {
    open: IntGaugeVec,
    closed: IntCounterVec,
    accept_errors: IntCounterVec,
    shed: IntCounterVec,
    wire_bytes: IntCounterVec,
    payload_bytes: IntCounterVec,
    certificate_start: GaugeVec,
    certificate_expiry: GaugeVec,
    pair_expiry: GaugeVec,
    crl_next_update: GaugeVec,
}

impl Connections {
    fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            open: family.gauge(
                "connections_open",
                "Connections accepted and not yet closed.",
                &["listener"],
            )?,
            closed: family.counter(
                "connections_total",
                "Closed connections by the way they ended.",
                &["listener", "outcome"],
            )?,
            accept_errors: family.counter(
                "accept_errors_total",
                "Errors of accept(2); the listener backs off and goes on.",
                &["listener", "reason"],
            )?,
            shed: family.counter(
                "shed_total",
                "Connections closed to serve a newcomer: by a full listener, or above max-handshakes.",
                &["listener", "reason"],
            )?,
            wire_bytes: family.counter(
                "wire_bytes_total",
                "Bytes below TLS after the handshake.",
                &["listener", "direction"],
            )?,
            payload_bytes: family.counter(
                "payload_bytes_total",
                "Bytes inside TLS; the difference to wire_bytes_total is what records add, alerts and key updates included.",
                &["listener", "direction"],
            )?,
            crl_next_update: family.gauge_f64(
                "crl_next_update_timestamp_seconds",
                "When the first revocation list for clients has to be replaced, Unix time; after that the clients of its issuer are refused.",
                &["listener"],
            )?,
            certificate_start: family.gauge_f64(
                "certificate_start_timestamp_seconds",
                "Begin of validity of the certificate in use, Unix time; of several that of the first that ends.",
                &["listener"],
            )?,
            certificate_expiry: family.gauge_f64(
                "certificate_expiry_timestamp_seconds",
                "End of validity of the certificate in use, Unix time; of several the first that ends.",
                &["listener"],
            )?,
            pair_expiry: family.gauge_f64(
                "certificate_pair_expiry_timestamp_seconds",
                "End of validity of each certificate of a listener with several, Unix time.",
                &["listener", "cert"],
            )?,
        })
    }
}

/// Families about requests.
struct Requests {
    open: IntGaugeVec,
    completed: IntCounterVec,
    duration: HistogramVec,
    time_to_first_byte: HistogramVec,
    upstream_failures: IntCounterVec,
    signatures: IntCounterVec,
    signed_responses: IntCounterVec,
}

impl Requests {
    fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            open: family.gauge(
                "requests_open",
                "Requests and streams under way.",
                &["listener"],
            )?,
            completed: family.counter(
                "requests_total",
                "Requests answered; code is a status class, or the grpc-status of a gRPC call.",
                &["listener", "protocol", "code"],
            )?,
            duration: family.histogram(
                "request_duration_seconds",
                "Request head read to the end of the response.",
                REQUEST_SECONDS,
                &["listener", "protocol"],
            )?,
            time_to_first_byte: family.histogram(
                "time_to_first_byte_seconds",
                "Request head read to the response head.",
                REQUEST_SECONDS,
                &["listener", "protocol"],
            )?,
            upstream_failures: family.counter(
                "upstream_failures_total",
                "Failures on the upstream side.",
                &["listener", "reason"],
            )?,
            signatures: family.counter(
                "signature_verifications_total",
                "Requests whose signatures were judged, where a listener asks for them.",
                &["listener", "result"],
            )?,
            signed_responses: family.counter(
                "signed_responses_total",
                "Responses of a listener that signs them, by where the signatures are.",
                &["listener", "place"],
            )?,
        })
    }
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
            panics: family.counter(
                "panics_total",
                "Panics, by the task that one ended: faults of this program.",
                &["task"],
            )?,
            draining: family.single("draining", "1 from the shutdown signal on, 0 before.")?,
            registry,
        };
        process::register(&metrics.registry)?;
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

    /// The families of spans, which appear with the first exporter.
    pub fn spans(&self) -> SpanMetrics {
        self.spans.resolved()
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
