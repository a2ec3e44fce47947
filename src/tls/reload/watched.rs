//! What the reloader of files keeps up to date, and what each says of it in the log.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{info, warn};

use crate::tls::standing::StandingFailure;
use crate::tls::tickets::{self, TicketKeyStore};
use crate::tls::trust::{self, TrustStore};

/// Something in use that was read from files.
#[derive(Clone, Debug)]
pub enum Watched {
    /// CAs and revocation lists.
    Authorities(Arc<TrustStore>),
    /// Keys of session tickets.
    TicketKeys(Arc<TicketKeyStore>),
}

/// What one look at the files came to.
pub(super) enum Look {
    Unchanged,
    Loaded,
    Failed(String),
}

impl Watched {
    /// The setting that names the file.
    pub(super) fn setting(&self) -> &'static str {
        match self {
            Self::Authorities(_) => "client-ca",
            Self::TicketKeys(_) => "ticket-keys",
        }
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Authorities(store) => {
                let settings = store.settings();
                let files = std::iter::once(&settings.ca).chain(&settings.crl);
                files.cloned().collect()
            }
            Self::TicketKeys(store) => vec![store.path().to_owned()],
        }
    }

    /// The failure that stands.
    pub(super) fn failure(&self) -> &StandingFailure {
        match self {
            Self::Authorities(store) => &store.failure,
            Self::TicketKeys(store) => &store.failure,
        }
    }

    /// Reads, checks and, if it is something else, uses what the files hold.
    pub(super) fn look(&self) -> Look {
        match self {
            Self::Authorities(store) => match store.attempt() {
                trust::Attempt::Unchanged => Look::Unchanged,
                trust::Attempt::Loaded(trust) => {
                    store.publish(*trust);
                    Look::Loaded
                }
                trust::Attempt::Failed(error) => Look::Failed(error.to_string()),
            },
            Self::TicketKeys(store) => match store.attempt() {
                tickets::Attempt::Unchanged => Look::Unchanged,
                tickets::Attempt::Loaded => Look::Loaded,
                tickets::Attempt::Failed(error) => Look::Failed(error.to_string()),
            },
        }
    }

    pub(super) fn log_loaded(&self) {
        match self {
            Self::Authorities(store) => {
                let trust = store.current();
                info!(client_ca = %store.settings().ca.display(), digest = trust.digest(), "authorities for clients reloaded");
                for warning in trust.warnings() {
                    warn!("{warning}");
                }
            }
            Self::TicketKeys(store) => {
                let (active, opening) = store.ids();
                info!(ticket_keys = %store.path().display(), active, ?opening, "ticket keys reloaded");
                if let Some(warning) = store.warning() {
                    warn!("{warning}");
                }
            }
        }
    }

    /// The files hold what is in use: again after a failure, or still and somebody asked.
    pub(super) fn log_unchanged(&self, restored: bool, asked: bool) {
        if !restored && !asked {
            return;
        }
        match self {
            Self::Authorities(store) => {
                let client_ca = store.settings().ca.display();
                if restored {
                    info!(%client_ca, "the file holds the authorities in use again");
                } else {
                    info!(%client_ca, "authorities for clients unchanged");
                }
            }
            Self::TicketKeys(store) => {
                let ticket_keys = store.path().display();
                if restored {
                    info!(%ticket_keys, "the file holds the ticket keys in use again");
                } else {
                    info!(%ticket_keys, "ticket keys unchanged");
                }
            }
        }
    }

    pub(super) fn log_failed(&self, error: &str) {
        match self {
            Self::Authorities(store) => {
                let client_ca = store.settings().ca.display();
                if store.is_waiting() {
                    warn!(%client_ca, %error, "no usable authorities for clients yet, every client certificate is refused");
                } else {
                    warn!(%client_ca, %error, "authorities for clients not reloaded, the last good ones stay in use");
                }
            }
            Self::TicketKeys(store) => {
                let ticket_keys = store.path().display();
                if store.is_waiting() {
                    warn!(%ticket_keys, %error, "no usable ticket keys yet, this process makes its own");
                } else {
                    warn!(%ticket_keys, %error, "ticket keys not reloaded, the last good ones stay in use");
                }
            }
        }
    }
}
