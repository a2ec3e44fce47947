//! The families of one listener, resolved once, so that recording is an atomic addition.

use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use strum::VariantNames;

use super::{Code, Metrics, PanickedTask, RequestProtocol, ShedReason, StreamMetrics, labels};

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

impl Metrics {
    /// The families of one listener, resolved.
    pub fn listener(self: &Arc<Self>, name: &str) -> ListenerMetrics {
        let direction = |family: &IntCounterVec| Directions {
            inward: family.with_label_values(&[name, "in"]),
            outward: family.with_label_values(&[name, "out"]),
        };
        ListenerMetrics {
            open: self.connections.open.with_label_values(&[name]),
            requests_open: self.requests.open.with_label_values(&[name]),
            wire: direction(&self.connections.wire_bytes),
            payload: direction(&self.connections.payload_bytes),
            requests: labels::per_protocol(|protocol| {
                labels::per_code(protocol, |code| {
                    self.requests
                        .completed
                        .with_label_values(&[name, protocol, code])
                })
            }),
            request_duration: labels::per_protocol(|protocol| {
                self.requests.duration.with_label_values(&[name, protocol])
            }),
            time_to_first_byte: labels::per_protocol(|protocol| {
                self.requests
                    .time_to_first_byte
                    .with_label_values(&[name, protocol])
            }),
            name: name.to_owned(),
            all: Arc::clone(self),
        }
    }
}

impl ListenerMetrics {
    /// Makes the closed sets visible from the start, so that a rate has its zero.
    pub fn announce(&self, failures: &[&str], outcomes: &[&str], upstream: &[&str]) {
        self.start(&self.all.handshakes.failed, failures);
        self.start(&self.all.connections.closed, outcomes);
        self.start(&self.all.requests.upstream_failures, upstream);
        self.start(&self.all.connections.shed, ShedReason::VARIANTS);
    }

    fn start(&self, family: &IntCounterVec, values: &[&str]) {
        for value in values {
            family.with_label_values(&[&self.name, *value]);
        }
    }

    fn count(&self, family: &IntCounterVec, value: &str) {
        family.with_label_values(&[&self.name, value]).inc();
    }

    /// The same for one way a handshake can go.
    pub fn announce_handshake(&self, group: &str, kind: &str, offered: &str) {
        let all = &self.all.handshakes;
        let name = self.name.as_str();
        all.completed
            .with_label_values(&[name, group, kind, offered]);
        all.retried.with_label_values(&[name, group]);
    }

    /// Records a completed handshake.
    pub fn handshake(&self, sample: &HandshakeSample) {
        let name = self.name.as_str();
        let HandshakeSample { group, kind, .. } = *sample;
        let all = &self.all.handshakes;
        let labels = [name, group, kind];
        all.duration
            .with_label_values(&labels)
            .observe(sample.elapsed.as_secs_f64());
        all.compute
            .with_label_values(&labels)
            .observe(sample.compute.as_secs_f64());
        all.key_exchange
            .with_label_values(&[group])
            .observe(sample.key_exchange.as_secs_f64());
        for (direction, bytes) in [("in", sample.bytes_in), ("out", sample.bytes_out)] {
            all.bytes
                .with_label_values(&[name, group, kind, direction])
                .observe(bytes as f64);
        }
        if sample.retried {
            all.retried.with_label_values(&[name, group]).inc();
        }
        // Last: a reader that sees a handshake counted sees all of it.
        all.completed
            .with_label_values(&[name, group, kind, sample.offered])
            .inc();
    }

    /// Counts a handshake that did not complete.
    pub fn handshake_failed(&self, reason: &str) {
        self.count(&self.all.handshakes.failed, reason);
    }

    /// Counts a closed connection.
    pub fn closed(&self, outcome: &str) {
        self.count(&self.all.connections.closed, outcome);
    }

    /// Counts a connection that was ended to make room for another.
    pub fn shed(&self, reason: ShedReason) {
        self.count(&self.all.connections.shed, reason.as_str());
    }

    /// Counts a panic.
    pub fn panicked(&self, task: PanickedTask) {
        self.all.panicked(task);
    }

    /// Counts a failure of the upstream's side.
    pub fn upstream_failed(&self, reason: &str) {
        self.count(&self.all.requests.upstream_failures, reason);
    }

    /// What measures this listener's streams.
    pub fn streams(&self) -> Arc<StreamMetrics> {
        self.all.streams.of(&self.name)
    }

    /// Makes the results of signatures visible from the start.
    pub fn announce_signatures<'a>(&self, results: impl Iterator<Item = &'a str>) {
        for result in results {
            let family = &self.all.requests.signatures;
            family.with_label_values(&[&self.name, result]);
        }
    }

    /// Makes the places of signatures of responses visible from the start.
    pub fn announce_signed_responses(&self) {
        let places = ["header", "trailer", "comment", "none"];
        self.start(&self.all.requests.signed_responses, &places);
    }

    /// Counts a response by where its signatures are.
    pub fn response_signed(&self, place: &str) {
        self.count(&self.all.requests.signed_responses, place);
    }

    /// Counts a request whose signatures were checked.
    pub fn signature(&self, result: &str) {
        self.count(&self.all.requests.signatures, result);
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

    /// Makes the closed sets of client certificates visible from the start.
    pub fn announce_clients(&self, results: &[&str], algorithms: &[&str]) {
        let clients = &self.all.clients;
        self.start(&clients.certificates, results);
        self.start(&clients.algorithms, algorithms);
    }

    /// Counts what came of a client's certificate, and of an accepted one the algorithm of its key.
    pub fn client_certificate(&self, result: &str, algorithm: Option<&str>) {
        let clients = &self.all.clients;
        self.count(&clients.certificates, result);
        if let Some(algorithm) = algorithm {
            self.count(&clients.algorithms, algorithm);
        }
    }

    /// States when the first revocation list for clients has to be replaced.
    pub fn set_crl_next_update(&self, unix_seconds: Option<i64>) {
        let family = &self.all.connections.crl_next_update;
        match unix_seconds {
            Some(next) => family.with_label_values(&[&self.name]).set(next as f64),
            None => {
                // There may have been none.
                let _ = family.remove_label_values(&[&self.name]);
            }
        }
    }

    /// States the end of validity of one of several certificates in use.
    pub fn set_pair_expiry(&self, cert: &str, unix_seconds: i64) {
        self.all
            .connections
            .pair_expiry
            .with_label_values(&[self.name.as_str(), cert])
            .set(unix_seconds as f64);
    }

    /// States the validity of the certificate in use, Unix seconds; of several that of the first that ends.
    pub fn set_certificate_validity(&self, not_before: i64, not_after: i64) {
        let families = &self.all.connections;
        for (family, at) in [
            (&families.certificate_start, not_before),
            (&families.certificate_expiry, not_after),
        ] {
            family.with_label_values(&[&self.name]).set(at as f64);
        }
    }
}
