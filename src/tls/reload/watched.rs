//! What is read from files and who uses it, and what the reloader says of it in the log.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::field::{DisplayValue, display};
use tracing::{info, warn};

use super::source::{Look, Source};
use crate::redact::Shown;
use crate::tls::credentials::rfc3339;
use crate::tls::standing::StandingFailure;

/// Something in use that was read from files, and who uses it.
#[derive(Clone)]
pub struct Watched {
    source: Source,
    /// The listener or egress; `None`: the process.
    listener: Option<Arc<str>>,
}

impl Watched {
    /// Of the listener or egress of that name.
    pub fn of_listener(name: &str, source: Source) -> Self {
        Self {
            source,
            listener: Some(name.into()),
        }
    }

    /// Of the whole process.
    pub fn of_process(source: Source) -> Self {
        Self {
            source,
            listener: None,
        }
    }

    /// The setting that names the file.
    pub(super) fn setting(&self) -> &'static str {
        self.source.setting()
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.source.files()
    }

    /// The failure that stands.
    pub(super) fn failure(&self) -> &StandingFailure {
        self.source.failure()
    }

    /// Reads, checks and, if it is something else, uses what the files hold.
    pub(super) fn look(&self) -> Look {
        self.source.look()
    }

    /// Says once a day that what is in use ends soon, or has ended.
    pub(super) fn warn_of_expiry(&self) {
        self.source.warn_of_expiry();
    }

    /// As the start lines name it.
    fn shown_listener(&self) -> Option<DisplayValue<&str>> {
        self.listener.as_deref().map(display)
    }

    pub(super) fn log_loaded(&self) {
        let listener = self.shown_listener();
        match &self.source {
            Source::ClientCas(store) => {
                let trust = store.current();
                info!(listener, client_ca = %Shown::path(&store.settings().ca), digest = trust.digest(), "authorities for clients reloaded");
                for warning in trust.warnings() {
                    warn!(listener, "{warning}");
                }
            }
            Source::TicketKeys(store) => {
                let (active, opening) = store.ids();
                info!(listener, ticket_keys = %Shown::path(store.path()), active, ?opening, "ticket keys reloaded");
                if let Some(warning) = store.warning() {
                    warn!(listener, "{warning}");
                }
            }
            Source::Client(store) => {
                let ca = store.settings().ca.shown();
                let until = store.facts().map(|facts| rfc3339(facts.not_after));
                info!(
                    listener,
                    %ca,
                    authorities = store.ca_count(),
                    certificate_until = until,
                    "egress certificates reloaded: new connections use them, and no ticket of before"
                );
                for warning in store.warnings() {
                    warn!(listener, "{warning}");
                }
            }
            Source::Collector(store) => {
                let ca = store.settings().ca.shown();
                info!(
                    %ca,
                    authorities = store.ca_count(),
                    "authorities for the collector of traces reloaded"
                );
                for warning in store.warnings() {
                    warn!("traces: {warning}");
                }
            }
            Source::Other(other) => {
                let in_use = other.read.in_use();
                info!(
                    listener,
                    setting = other.read.setting(),
                    ?in_use,
                    "keys reloaded"
                );
                for warning in other.read.warnings() {
                    warn!(listener, "{warning}");
                }
            }
        }
    }

    /// The files hold what is in use: again after a failure, or still and somebody asked.
    pub(super) fn log_unchanged(&self, restored: bool, asked: bool) {
        if !restored && !asked {
            return;
        }
        let listener = self.shown_listener();
        match &self.source {
            Source::ClientCas(store) => {
                let client_ca = Shown::path(&store.settings().ca);
                if restored {
                    info!(listener, %client_ca, "the file holds the authorities in use again");
                } else {
                    info!(listener, %client_ca, "authorities for clients unchanged");
                }
            }
            Source::TicketKeys(store) => {
                let ticket_keys = Shown::path(store.path());
                if restored {
                    info!(listener, %ticket_keys, "the file holds the ticket keys in use again");
                } else {
                    info!(listener, %ticket_keys, "ticket keys unchanged");
                }
            }
            Source::Client(_) if restored => {
                info!(
                    listener,
                    "the files hold the egress certificates in use again"
                );
            }
            Source::Client(_) => info!(listener, "egress certificates unchanged"),
            Source::Collector(_) if restored => {
                info!("the file holds the authorities for the collector of traces in use again");
            }
            Source::Collector(_) => info!("authorities for the collector of traces unchanged"),
            Source::Other(other) => {
                let setting = other.read.setting();
                if restored {
                    info!(listener, setting, "the files hold the keys in use again");
                } else {
                    info!(listener, setting, "keys unchanged");
                }
            }
        }
    }

    pub(super) fn log_failed(&self, error: &str) {
        let listener = self.shown_listener();
        match &self.source {
            Source::ClientCas(store) => {
                let client_ca = Shown::path(&store.settings().ca);
                if store.is_waiting() {
                    warn!(listener, %client_ca, %error, "no usable authorities for clients yet, every client certificate is refused");
                } else {
                    warn!(listener, %client_ca, %error, "authorities for clients not reloaded, the last good ones stay in use");
                }
            }
            Source::TicketKeys(store) => {
                let ticket_keys = Shown::path(store.path());
                if store.is_waiting() {
                    warn!(listener, %ticket_keys, %error, "no usable ticket keys yet, this process makes its own");
                } else {
                    warn!(listener, %ticket_keys, %error, "ticket keys not reloaded, the last good ones stay in use");
                }
            }
            Source::Client(_) => {
                warn!(listener, %error, "egress certificates not reloaded, the last good ones stay in use");
            }
            Source::Collector(_) => {
                warn!(%error, "authorities for the collector of traces not reloaded, the last good ones stay in use");
            }
            Source::Other(other) => {
                let setting = other.read.setting();
                warn!(listener, setting, %error, "keys not reloaded, the last good ones stay in use");
            }
        }
    }
}
