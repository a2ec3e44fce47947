//! What the reloader of files keeps up to date, and what each says of it in the log.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{info, warn};

use super::other::OtherFiles;
use crate::tls::client::{self, CaSource, ClientTls};
use crate::tls::credentials::rfc3339;
use crate::tls::standing::StandingFailure;
use crate::tls::tickets::{self, TicketKeyStore};
use crate::tls::trust::{self, TrustStore};

/// Something in use that was read from files.
#[derive(Clone, Debug)]
pub enum Watched {
    /// CAs and revocation lists.
    ClientCas(Arc<TrustStore>),
    /// Keys of session tickets.
    TicketKeys(Arc<TicketKeyStore>),
    /// CAs for servers, and the pair shown to them.
    Client(Arc<ClientTls>),
    /// CAs for the collector of traces.
    Collector(Arc<ClientTls>),
    /// What another part of the program reads.
    Other(Arc<OtherFiles>),
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
            Self::ClientCas(_) => "client-ca",
            Self::TicketKeys(_) => "ticket-keys",
            Self::Client(_) => "egress.tls",
            Self::Collector(_) => "traces.ca",
            Self::Other(other) => other.read.setting(),
        }
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::ClientCas(store) => {
                let settings = store.settings();
                let files = std::iter::once(&settings.ca).chain(&settings.crl);
                files.cloned().collect()
            }
            Self::TicketKeys(store) => vec![store.path().to_owned()],
            Self::Client(store) | Self::Collector(store) => client_files(store),
            Self::Other(other) => other.read.files(),
        }
    }

    /// The failure that stands.
    pub(super) fn failure(&self) -> &StandingFailure {
        match self {
            Self::ClientCas(store) => &store.failure,
            Self::TicketKeys(store) => &store.failure,
            Self::Client(store) | Self::Collector(store) => &store.failure,
            Self::Other(other) => &other.failure,
        }
    }

    /// Reads, checks and, if it is something else, uses what the files hold.
    pub(super) fn look(&self) -> Look {
        match self {
            Self::ClientCas(store) => match store.attempt() {
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
            Self::Client(store) | Self::Collector(store) => match store.attempt() {
                client::Attempt::Unchanged => Look::Unchanged,
                client::Attempt::Loaded => Look::Loaded,
                client::Attempt::Failed(error) => Look::Failed(error.to_string()),
            },
            Self::Other(other) => match other.read.reread() {
                Ok(false) => Look::Unchanged,
                Ok(true) => Look::Loaded,
                Err(message) => Look::Failed(message),
            },
        }
    }

    /// Says once a day that what is in use ends soon, or has ended.
    pub(super) fn warn_of_expiry(&self) {
        match self {
            Self::ClientCas(store) => store.warn_of_lists(),
            Self::Client(store) => store.warn_of_expiry(),
            Self::TicketKeys(_) | Self::Collector(_) | Self::Other(_) => {}
        }
    }

    pub(super) fn log_loaded(&self) {
        match self {
            Self::ClientCas(store) => {
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
            Self::Client(store) => {
                let until = store.facts().map(|facts| rfc3339(facts.not_after));
                info!(
                    authorities = store.ca_count(),
                    certificate_until = until,
                    "egress certificates reloaded: new connections use them, and no ticket of before"
                );
                for warning in store.warnings() {
                    warn!("{warning}");
                }
            }
            Self::Collector(store) => {
                info!(
                    authorities = store.ca_count(),
                    "authorities for the collector of traces reloaded"
                );
                for warning in store.warnings() {
                    warn!("traces: {warning}");
                }
            }
            Self::Other(other) => {
                let in_use = other.read.in_use();
                info!(setting = other.read.setting(), ?in_use, "keys reloaded");
                for warning in other.read.warnings() {
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
            Self::ClientCas(store) => {
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
            Self::Client(_) if restored => {
                info!("the files hold the egress certificates in use again");
            }
            Self::Client(_) => info!("egress certificates unchanged"),
            Self::Collector(_) if restored => {
                info!("the file holds the authorities for the collector of traces in use again");
            }
            Self::Collector(_) => info!("authorities for the collector of traces unchanged"),
            Self::Other(other) => {
                let setting = other.read.setting();
                if restored {
                    info!(setting, "the files hold the keys in use again");
                } else {
                    info!(setting, "keys unchanged");
                }
            }
        }
    }

    pub(super) fn log_failed(&self, error: &str) {
        match self {
            Self::ClientCas(store) => {
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
            Self::Client(_) => {
                warn!(%error, "egress certificates not reloaded, the last good ones stay in use");
            }
            Self::Collector(_) => {
                warn!(%error, "authorities for the collector of traces not reloaded, the last good ones stay in use");
            }
            Self::Other(other) => {
                let setting = other.read.setting();
                warn!(setting, %error, "keys not reloaded, the last good ones stay in use");
            }
        }
    }
}

fn client_files(store: &ClientTls) -> Vec<PathBuf> {
    let settings = store.settings();
    let ca = match &settings.ca {
        CaSource::File(path) => Some(path),
        CaSource::System => None,
    };
    let pair = settings.pair.iter().flat_map(|(cert, key)| [cert, key]);
    ca.into_iter().chain(pair).cloned().collect()
}
