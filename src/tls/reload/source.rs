//! What the reloader of files keeps up to date: where it is read from, and how it is read again.

use std::path::PathBuf;
use std::sync::Arc;

use super::other::OtherFiles;
use crate::tls::client::{CaSource, ClientTls};
use crate::tls::standing::{StandingFailure, Unusable};
use crate::tls::tickets::TicketKeyStore;
use crate::tls::trust::TrustStore;

/// What was read from files.
#[derive(Clone)]
pub enum Source {
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

/// What one look at the files came to: whether they hold something else, or why it cannot be used.
pub(super) type Look = Result<bool, Unusable>;

impl Source {
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
            Self::ClientCas(store) => store.reread().map_err(|error| error.to_string().into()),
            Self::TicketKeys(store) => store.reread().map_err(|error| error.to_string().into()),
            Self::Client(store) | Self::Collector(store) => {
                store.reread().map_err(|error| Unusable {
                    message: error.to_string(),
                    lasting: error.lasting(),
                })
            }
            Self::Other(other) => other.read.reread().map_err(Unusable::from),
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
