//! Families about connections, and about the certificates that they are served with.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::families::Families;

/// The families.
pub(super) struct Connections {
    pub(super) open: IntGaugeVec,
    pub(super) closed: IntCounterVec,
    pub(super) accept_errors: IntCounterVec,
    pub(super) shed: IntCounterVec,
    pub(super) wire_bytes: IntCounterVec,
    pub(super) payload_bytes: IntCounterVec,
    pub(super) certificate_start: GaugeVec,
    pub(super) certificate_expiry: GaugeVec,
    pub(super) pair_expiry: GaugeVec,
    pub(super) crl_next_update: GaugeVec,
}

impl Connections {
    pub(super) fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
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
