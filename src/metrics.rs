//! Every metric: name, help, type, labels. Imports nothing of ours; no global registry.
//!
//! Label values come from closed sets. What a request or a connection touches often is resolved once
//! per listener (`ListenerMetrics`), so that recording is an atomic addition.

mod labels;
mod process;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use self::labels::{Code, GRPC_CODES, RequestProtocol};

const PREFIX: &str = "hybridge";

/// Seconds: from a loopback handshake to the handshake timeout.
const HANDSHAKE_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];
/// Seconds: one operation to the slowest certificate signature.
const COMPUTE_SECONDS: &[f64] = &[
    0.00001, 0.000025, 0.00005, 0.000075, 0.0001, 0.00015, 0.0002, 0.0003, 0.0005, 0.001, 0.0025,
    0.005, 0.01,
];
/// Bytes: fine where classical and hybrid hellos differ, coarse where chains make the size.
const HANDSHAKE_BYTES: &[f64] = &[
    256.0, 384.0, 512.0, 640.0, 768.0, 1024.0, 1280.0, 1536.0, 1792.0, 2048.0, 2560.0, 3072.0,
    4096.0, 6144.0, 8192.0, 12288.0, 16384.0, 32768.0,
];
/// Seconds: a health check to a long generation.
const REQUEST_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0, 600.0,
];

/// The registry and every family in it.
pub struct Metrics {
    registry: Registry,
    handshake_duration: HistogramVec,
    handshake_compute: HistogramVec,
    key_exchange: HistogramVec,
    handshake_bytes: HistogramVec,
    handshakes: IntCounterVec,
    handshake_failures: IntCounterVec,
    hello_retry_requests: IntCounterVec,
    connections_open: IntGaugeVec,
    connections: IntCounterVec,
    accept_errors: IntCounterVec,
    wire_bytes: IntCounterVec,
    payload_bytes: IntCounterVec,
    requests_open: IntGaugeVec,
    requests: IntCounterVec,
    request_duration: HistogramVec,
    time_to_first_byte: HistogramVec,
    upstream_failures: IntCounterVec,
    credential_reloads: IntCounterVec,
    certificate_expiry: GaugeVec,
    draining: IntGauge,
}

impl Metrics {
    /// Registers everything; an error is a programming mistake (a name used twice).
    pub fn new() -> Result<Self, prometheus::Error> {
        let family = Families(Registry::new());
        let metrics = Self {
            handshake_duration: family.histogram(
                "handshake_duration_seconds",
                "First ClientHello byte read to handshake complete.",
                HANDSHAKE_SECONDS,
                &["listener", "group", "kind"],
            )?,
            handshake_compute: family.histogram(
                "handshake_compute_seconds",
                "Time inside TLS code during a handshake; waiting for the peer is excluded.",
                COMPUTE_SECONDS,
                &["listener", "group", "kind"],
            )?,
            key_exchange: family.histogram(
                "key_exchange_seconds",
                "The server's key-exchange operation alone.",
                COMPUTE_SECONDS,
                &["group"],
            )?,
            handshake_bytes: family.histogram(
                "handshake_bytes",
                "Bytes below TLS up to handshake completion, record headers included. Session tickets sent with completion are counted (direction out); application data that came along is not.",
                HANDSHAKE_BYTES,
                &["listener", "group", "kind", "direction"],
            )?,
            handshakes: family.counter(
                "handshakes_total",
                "Completed handshakes; offered is the strongest class the client listed.",
                &["listener", "group", "kind", "offered"],
            )?,
            handshake_failures: family.counter(
                "handshake_failures_total",
                "Connections that ended before their handshake did.",
                &["listener", "reason"],
            )?,
            hello_retry_requests: family.counter(
                "hello_retry_requests_total",
                "HelloRetryRequests sent, by the group asked for; resumed handshakes included.",
                &["listener", "group"],
            )?,
            connections_open: family.gauge(
                "connections_open",
                "Connections accepted and not yet closed.",
                &["listener"],
            )?,
            connections: family.counter(
                "connections_total",
                "Closed connections by the way they ended.",
                &["listener", "outcome"],
            )?,
            accept_errors: family.counter(
                "accept_errors_total",
                "Errors of accept(2); the listener backs off and goes on.",
                &["listener", "reason"],
            )?,
            wire_bytes: family.counter(
                "wire_bytes_total",
                "Bytes below TLS after the handshake.",
                &["listener", "direction"],
            )?,
            payload_bytes: family.counter(
                "payload_bytes_total",
                "Bytes inside TLS; the difference to wire_bytes_total is record overhead.",
                &["listener", "direction"],
            )?,
            requests_open: family.gauge(
                "requests_open",
                "Requests and streams under way.",
                &["listener"],
            )?,
            requests: family.counter(
                "requests_total",
                "Requests answered; code is a status class, or the grpc-status of a gRPC call.",
                &["listener", "protocol", "code"],
            )?,
            request_duration: family.histogram(
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
                "Failures of the inference server's side.",
                &["listener", "reason"],
            )?,
            credential_reloads: family.counter(
                "credential_reloads_total",
                "Certificate changes taken over (ok) or refused, the last good pair kept (failed).",
                &["result"],
            )?,
            certificate_expiry: family.gauge_f64(
                "certificate_expiry_timestamp_seconds",
                "End of validity of the certificate in use, Unix time.",
                &["listener"],
            )?,
            draining: family.single(
                "draining",
                "1 from the shutdown signal on, 0 before.",
            )?,
            registry: family.0,
        };
        process::register(&metrics.registry)?;
        for result in ["ok", "failed"] {
            metrics.credential_reloads.with_label_values(&[result]);
        }
        Ok(metrics)
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

    /// The families of one listener, resolved.
    pub fn listener(self: &Arc<Self>, name: &str) -> ListenerMetrics {
        let direction = |family: &IntCounterVec| Directions {
            inward: family.with_label_values(&[name, "in"]),
            outward: family.with_label_values(&[name, "out"]),
        };
        ListenerMetrics {
            open: self.connections_open.with_label_values(&[name]),
            requests_open: self.requests_open.with_label_values(&[name]),
            wire: direction(&self.wire_bytes),
            payload: direction(&self.payload_bytes),
            requests: labels::per_protocol(|protocol| {
                labels::per_code(protocol, |code| {
                    self.requests.with_label_values(&[name, protocol, code])
                })
            }),
            request_duration: labels::per_protocol(|protocol| {
                self.request_duration.with_label_values(&[name, protocol])
            }),
            time_to_first_byte: labels::per_protocol(|protocol| {
                self.time_to_first_byte.with_label_values(&[name, protocol])
            }),
            name: name.to_owned(),
            all: Arc::clone(self),
        }
    }

    /// Counts a reload of a certificate.
    pub fn credential_reload(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.credential_reloads.with_label_values(&[result]).inc();
    }

    /// Marks the shutdown.
    pub fn set_draining(&self, draining: bool) {
        self.draining.set(i64::from(draining));
    }

    /// Completed handshakes of a listener by group and kind, those that happened.
    pub fn handshake_counts(&self, listener: &str) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for family in self.handshakes.collect() {
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
                if name == listener {
                    *counts.entry(group).or_default().entry(kind).or_default() +=
                        metric.get_counter().get_value() as u64;
                }
            }
        }
        counts
    }

    /// The registry, for families of other parts (the injector).
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The text exposition format 0.0.4.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// A counter for each direction as the proxy sees it.
#[derive(Clone)]
pub struct Directions {
    /// From the client.
    pub inward: IntCounter,
    /// To the client.
    pub outward: IntCounter,
}

/// What one completed handshake contributes.
#[derive(Clone, Copy, Debug)]
pub struct HandshakeSample {
    /// IANA name of the negotiated group.
    pub group: &'static str,
    /// `full`, `hrr` or `resumed`.
    pub kind: &'static str,
    /// `hybrid` or `classical`: what the client listed.
    pub offered: &'static str,
    /// A HelloRetryRequest was sent.
    pub retried: bool,
    /// First byte to completion.
    pub elapsed: Duration,
    /// Inside TLS code.
    pub compute: Duration,
    /// Inside the key exchange.
    pub key_exchange: Duration,
    /// Bytes below TLS from the client.
    pub bytes_in: u64,
    /// Bytes below TLS to the client.
    pub bytes_out: u64,
}

/// The families of one listener.
pub struct ListenerMetrics {
    /// Connections open.
    pub open: IntGauge,
    /// Requests under way.
    pub requests_open: IntGauge,
    /// Bytes below TLS after the handshake.
    pub wire: Directions,
    /// Bytes inside TLS.
    pub payload: Directions,
    requests: [Vec<IntCounter>; RequestProtocol::COUNT],
    request_duration: [Histogram; RequestProtocol::COUNT],
    time_to_first_byte: [Histogram; RequestProtocol::COUNT],
    name: String,
    all: Arc<Metrics>,
}

impl ListenerMetrics {
    /// Makes the closed sets visible from the start, so that a rate has its zero.
    pub fn announce(&self, failures: &[&str], outcomes: &[&str], upstream: &[&str]) {
        let start = |family: &IntCounterVec, values: &[&str]| {
            for value in values {
                family.with_label_values(&[&self.name, *value]);
            }
        };
        start(&self.all.handshake_failures, failures);
        start(&self.all.connections, outcomes);
        start(&self.all.upstream_failures, upstream);
    }

    /// Records a completed handshake.
    pub fn handshake(&self, sample: &HandshakeSample) {
        let name = self.name.as_str();
        let HandshakeSample { group, kind, .. } = *sample;
        let all = &*self.all;
        let labels = [name, group, kind];
        all.handshakes
            .with_label_values(&[name, group, kind, sample.offered])
            .inc();
        all.handshake_duration
            .with_label_values(&labels)
            .observe(sample.elapsed.as_secs_f64());
        all.handshake_compute
            .with_label_values(&labels)
            .observe(sample.compute.as_secs_f64());
        all.key_exchange
            .with_label_values(&[group])
            .observe(sample.key_exchange.as_secs_f64());
        for (direction, bytes) in [("in", sample.bytes_in), ("out", sample.bytes_out)] {
            all.handshake_bytes
                .with_label_values(&[name, group, kind, direction])
                .observe(bytes as f64);
        }
        if sample.retried {
            all.hello_retry_requests
                .with_label_values(&[name, group])
                .inc();
        }
    }

    /// Counts a handshake that did not complete.
    pub fn handshake_failed(&self, reason: &str) {
        self.all
            .handshake_failures
            .with_label_values(&[&self.name, reason])
            .inc();
    }

    /// Counts a closed connection.
    pub fn closed(&self, outcome: &str) {
        self.all
            .connections
            .with_label_values(&[&self.name, outcome])
            .inc();
    }

    /// Counts an error of accept(2).
    pub fn accept_failed(&self, reason: &str) {
        self.all
            .accept_errors
            .with_label_values(&[&self.name, reason])
            .inc();
    }

    /// Counts a failure of the inference server's side.
    pub fn upstream_failed(&self, reason: &str) {
        self.all
            .upstream_failures
            .with_label_values(&[&self.name, reason])
            .inc();
    }

    /// Records the head of a response.
    pub fn first_byte(&self, protocol: RequestProtocol, after: Duration) {
        self.time_to_first_byte[protocol as usize].observe(after.as_secs_f64());
    }

    /// Records the end of a request.
    pub fn request(&self, protocol: RequestProtocol, code: Code, took: Duration) {
        if let Some(counter) = self.requests[protocol as usize].get(code.index(protocol)) {
            counter.inc();
        }
        self.request_duration[protocol as usize].observe(took.as_secs_f64());
    }

    /// States the end of validity of the certificate in use.
    pub fn set_certificate_expiry(&self, unix_seconds: i64) {
        self.all
            .certificate_expiry
            .with_label_values(&[&self.name])
            .set(unix_seconds as f64);
    }
}

fn named(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(PREFIX)
}

/// Makes and registers families.
struct Families(Registry);

impl Families {
    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        let opts = HistogramOpts::new(name, help)
            .namespace(PREFIX)
            .buckets(buckets.to_vec());
        self.keep(HistogramVec::new(opts, labels)?)
    }

    fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.keep(IntCounterVec::new(named(name, help), labels)?)
    }

    fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.keep(IntGaugeVec::new(named(name, help), labels)?)
    }

    fn gauge_f64(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        self.keep(GaugeVec::new(named(name, help), labels)?)
    }

    fn single(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.keep(IntGauge::with_opts(named(name, help))?)
    }

    fn keep<C>(&self, family: C) -> Result<C, prometheus::Error>
    where
        C: Clone + prometheus::core::Collector + 'static,
    {
        self.0.register(Box::new(family.clone()))?;
        Ok(family)
    }
}
