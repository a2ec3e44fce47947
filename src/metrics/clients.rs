//! Families about clients' certificates, of listeners that ask for them. Who a client is stands in no label.

use prometheus::IntCounterVec;

use super::families::Families;

/// The families.
pub(super) struct Clients {
    pub(super) certificates: IntCounterVec,
    pub(super) algorithms: IntCounterVec,
}

impl Clients {
    pub(super) fn register(family: &Families<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            certificates: family.counter(
                "client_certificates_total",
                "Handshakes of a listener with client-auth by what came of the client's certificate; none: it had none and needed none.",
                &["listener", "result"],
            )?,
            algorithms: family.counter(
                "client_certificate_algorithm_total",
                "Accepted client certificates by the algorithm of their key: who still has a classical identity.",
                &["listener", "algorithm"],
            )?,
        })
    }
}
