//! Families about requests.

use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use super::buckets::REQUEST_SECONDS;
use super::families::Families;

/// The families.
pub(super) struct Requests {
    pub(super) open: IntGaugeVec,
    pub(super) completed: IntCounterVec,
    pub(super) duration: HistogramVec,
    pub(super) time_to_first_byte: HistogramVec,
    pub(super) upstream_failures: IntCounterVec,
    pub(super) signatures: IntCounterVec,
    pub(super) signed_responses: IntCounterVec,
}

impl Requests {
    pub(super) fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
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
                "Requests whose signatures were checked, where a listener asks for them.",
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
