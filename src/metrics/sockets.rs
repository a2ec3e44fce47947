//! What a listener's socket side counts: errors of accept(2), and connections that it closed because
//! it was full.

use prometheus::IntCounterVec;

use super::{Metrics, PanickedTask};

/// The families of one listener's sockets.
#[derive(Clone, Default)]
pub struct ListenerSockets(Option<Families>);

#[derive(Clone)]
struct Families {
    name: String,
    accept_errors: IntCounterVec,
    shed: IntCounterVec,
    panics: IntCounterVec,
}

impl Metrics {
    /// The families of one listener's sockets, with the closed sets of their reasons at zero.
    pub fn sockets(&self, name: &str, accept_errors: &[&str], shed: &[&str]) -> ListenerSockets {
        let families = Families {
            name: name.to_owned(),
            accept_errors: self.connections.accept_errors.clone(),
            shed: self.connections.shed.clone(),
            panics: self.panics.clone(),
        };
        for reason in accept_errors {
            families.accept_errors.with_label_values(&[name, reason]);
        }
        for reason in shed {
            families.shed.with_label_values(&[name, reason]);
        }
        ListenerSockets(Some(families))
    }
}

/// The default counts nothing.
impl ListenerSockets {
    /// Counts an error of accept(2).
    pub fn accept_failed(&self, reason: &str) {
        if let Some(families) = &self.0 {
            let labels = [families.name.as_str(), reason];
            families.accept_errors.with_label_values(&labels).inc();
        }
    }

    /// Counts a connection that was closed for another one.
    pub fn shed(&self, reason: &str) {
        if let Some(families) = &self.0 {
            let labels = [families.name.as_str(), reason];
            families.shed.with_label_values(&labels).inc();
        }
    }

    /// Counts a panic while a connection was accepted.
    pub fn accept_panicked(&self) {
        if let Some(families) = &self.0 {
            let task = PanickedTask::Accept.as_str();
            families.panics.with_label_values(&[task]).inc();
        }
    }
}
