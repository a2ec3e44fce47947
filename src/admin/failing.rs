//! Failures that stand: a counter says once that something failed, and an alert needs to know that it still does.

use super::{ListenerStatus, View};

/// Certificates and files of listeners and egresses whose last reload failed.
pub(super) fn count(view: &View) -> usize {
    let egresses = view.egresses.iter();
    let of_egresses = egresses.filter(|egress| egress.tls.last_error().is_some());
    let of_listeners: usize = view.listeners.iter().map(of_listener).sum();
    of_listeners + of_egresses.count()
}

fn of_listener(listener: &ListenerStatus) -> usize {
    let pairs = listener.certificates.stores();
    let pairs = pairs.filter(|store| store.last_error().is_some()).count();
    let trust = listener.trust.iter();
    let trust = trust.filter(|trust| trust.last_error().is_some()).count();
    let tickets = listener.ticket_keys.iter();
    let tickets = tickets.filter(|keys| keys.last_error().is_some()).count();
    let signatures = listener.signature_keys.iter();
    let signatures = signatures
        .filter(|keys| keys.last_error().is_some())
        .count();
    pairs + trust + tickets + signatures
}
