//! A certificate of the page `/status` in the bill.

use hybridge_scan::certificate::Certificate;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Facts {
    subject: String,
    issuer: String,
    names: Vec<String>,
    serial: String,
    not_before: i64,
    not_after: i64,
    key_algorithm: String,
    #[serde(default)]
    signature_algorithm: String,
    sha256: String,
}

pub(super) fn certificate(facts: &Facts) -> Certificate {
    Certificate {
        subject: facts.subject.clone(),
        issuer: facts.issuer.clone(),
        serial: facts.serial.clone(),
        names: facts.names.clone(),
        not_before: facts.not_before,
        not_after: facts.not_after,
        key: facts.key_algorithm.clone(),
        signature: facts.signature_algorithm.clone(),
        sha256: facts.sha256.clone(),
    }
}
