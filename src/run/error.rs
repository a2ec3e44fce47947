//! Why a run did not start.

use std::net::IpAddr;

use thiserror::Error;

use crate::listener::{Address, BindError};
use crate::probes::ProbeTableError;
use crate::tls::client::ClientTlsError;
use crate::traces::ExporterError;

/// Why a run did not start.
#[derive(Debug, Error)]
pub enum Error {
    /// An address could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// What an egress makes its connections with is of no use.
    #[error("egress `{egress}`: {source}")]
    Egress {
        /// The egress's name.
        egress: String,
        /// What is wrong with which file.
        source: Box<ClientTlsError>,
    },
    /// An address that overlaps one that is given up only afterwards.
    #[error(
        "listener `{listener}`: {address} overlaps {held}, which listener `{owner}` holds while the process runs: restart to change it"
    )]
    Held {
        /// The listener's name.
        listener: String,
        /// The address.
        address: Address,
        /// Whose socket it overlaps.
        owner: String,
        /// The address of that.
        held: Address,
    },
    /// What a listener has in files, or of its agent, is of no use.
    #[error("listener `{listener}`: {source}")]
    Listener {
        /// The listener's name.
        listener: String,
        /// What is wrong with which file.
        source: Box<dyn std::error::Error + Send + Sync>,
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
    /// Traces cannot be exported.
    #[error("traces: {0}")]
    Traces(#[source] ExporterError),
    /// A tunnel to somewhere else.
    #[error(
        "listener `{listener}`: tunnel-to {address} is no address of this host: a tunnel leads to this pod only; write 127.0.0.1 or $POD_IPS"
    )]
    TunnelTo {
        /// The listener's name.
        listener: String,
        /// The address.
        address: IpAddr,
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
    /// Says of an error whose it is.
    pub(super) fn of_listener<E>(name: &str) -> impl Fn(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Listener {
            listener: name.to_owned(),
            source: Box::new(source),
        }
    }

    /// Whether the configuration is to blame (exit code 64) rather than the world (1).
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Egress { .. }
                | Self::Listener { .. }
                | Self::Probes(_)
                | Self::Traces(ExporterError::Tls(_))
                | Self::Tls { .. }
                | Self::TunnelTo { .. }
        )
    }
}
