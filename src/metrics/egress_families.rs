//! Families about connections that we begin, and which side of a connection each listener is.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::families::Families;

/// The families.
pub(super) struct Egress {
    pub(super) tickets: IntCounterVec,
    pub(super) ticket_bytes: IntCounterVec,
    pub(super) resolutions: IntCounterVec,
    pub(super) info: IntGaugeVec,
}

impl Egress {
    pub(super) fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            tickets: family.counter(
                "tickets_received_total",
                "Session tickets that servers sent to an egress.",
                &["listener"],
            )?,
            ticket_bytes: family.counter(
                "ticket_bytes_total",
                "Bytes below TLS of the records of those tickets. They are part of wire_bytes_total here, and of handshake_bytes (direction out) at a server that is hybridge.",
                &["listener"],
            )?,
            resolutions: family.counter(
                "resolutions_total",
                "Names of targets resolved, by result; an address needs none.",
                &["listener", "result"],
            )?,
            info: family.gauge(
                "listener_info",
                "The role of each listener (ingress terminates TLS, egress originates it) and its protocol; always 1.",
                &["listener", "role", "protocol"],
            )?,
        })
    }
}
