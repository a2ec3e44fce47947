//! The series of a listener that exist before anything happened, so that a rate has its beginning.
//! Histograms by group are left to the first handshake: their buckets would be most of the page.

use std::sync::Arc;

use crate::metrics::ListenerMetrics;
use crate::tls::certificates::CertificateSet;
use crate::tls::handshake::HandshakeKind;
use crate::tls::policy::{Group, KxClass, TlsPolicy};

const KINDS: [HandshakeKind; 3] = [
    HandshakeKind::Full,
    HandshakeKind::Retried,
    HandshakeKind::Resumed,
];

/// Announces what the metrics of handshakes can say under `policy`.
pub(crate) fn announce(metrics: &ListenerMetrics, policy: &TlsPolicy) {
    for group in policy.groups() {
        for kind in KINDS {
            for offered in offered(*group) {
                metrics.announce_handshake(group.name(), kind.as_str(), offered.as_str());
            }
        }
    }
}

/// A classical group also serves clients that list hybrid ones: those that the listener does not have.
fn offered(group: Group) -> &'static [KxClass] {
    match group.class() {
        KxClass::Hybrid => &[KxClass::Hybrid],
        KxClass::Pure => &[KxClass::Hybrid, KxClass::Pure],
        KxClass::Classical => &[KxClass::Hybrid, KxClass::Classical],
    }
}

/// A listener, as far as the renewal of a pair concerns it.
pub(super) struct Observed {
    pub(super) name: String,
    pub(super) certificates: Arc<CertificateSet>,
    pub(super) metrics: Arc<ListenerMetrics>,
}

impl Observed {
    /// Says what is to be said of a pair that is in use now.
    pub(super) fn renewed(&self) {
        expiry(&self.metrics, &self.certificates);
        for warning in self.certificates.advice() {
            tracing::warn!(listener = %self.name, "{warning}");
        }
    }
}

/// States when the certificates of a listener end: the first of them, and each where there are several.
pub(super) fn expiry(metrics: &ListenerMetrics, certificates: &CertificateSet) {
    if let Some((not_before, not_after)) = certificates.first_validity() {
        metrics.set_certificate_validity(not_before, not_after);
    }
    if certificates.stores().count() < 2 {
        return;
    }
    for store in certificates.stores() {
        if let Some(current) = store.current() {
            metrics.set_pair_expiry(&store.cert_name(), current.facts().not_after);
        }
    }
}
