//! Why a run did not start.

use thiserror::Error;

use crate::listener::BindError;
use crate::probes::ProbeTableError;
use crate::tls::credentials::CredentialError;
use crate::tls::tickets::TicketKeyError;
use crate::tls::trust::TrustError;

/// Why a run did not start.
#[derive(Debug, Error)]
pub enum Error {
    /// An address could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate or key is of no use.
    #[error("listener `{listener}`: {source}")]
    Credentials {
        /// The listener's name.
        listener: String,
        /// What is wrong with which file.
        source: Box<CredentialError>,
    },
    /// Metrics could not be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The probe table is not one.
    #[error("probes: {0}")]
    Probes(#[from] ProbeTableError),
    /// The runtime could not be built.
    #[error("cannot start worker threads: {0}")]
    Runtime(#[source] std::io::Error),
    /// Signal handlers could not be installed.
    #[error("cannot install signal handlers: {0}")]
    Signals(#[source] std::io::Error),
    /// The ticket keys are of no use.
    #[error("listener `{listener}`: {source}")]
    TicketKeys {
        /// The listener's name.
        listener: String,
        /// What is wrong with which file.
        source: Box<TicketKeyError>,
    },
    /// The authorities for clients are of no use.
    #[error("listener `{listener}`: {source}")]
    Trust {
        /// The listener's name.
        listener: String,
        /// What is wrong with which file.
        source: Box<TrustError>,
    },
    /// rustls refused the settings of a listener.
    #[error("listener `{listener}`: TLS settings: {source}")]
    Tls {
        /// The listener's name.
        listener: String,
        /// What rustls says.
        source: rustls::Error,
    },
}

impl Error {
    /// Whether the configuration is to blame (exit code 64) rather than the world (1).
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Credentials { .. }
                | Self::Probes(_)
                | Self::TicketKeys { .. }
                | Self::Tls { .. }
                | Self::Trust { .. }
        )
    }
}
