//! Why there is no connection to a target: a closed set, each with its label.

use std::net::SocketAddr;
use std::time::Duration;

use strum::IntoStaticStr;
use thiserror::Error;

use super::lookups::AT_ONCE;
use crate::tls::client::{ClientError, Failure};
use crate::tls::handshake::Session;

/// Why there is no connection to a target.
#[derive(Debug, Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum OriginError {
    /// The name means nothing.
    #[error("the name `{name}` does not resolve: {cause}")]
    Resolve {
        /// The name asked for.
        name: String,
        /// The resolver's words.
        cause: String,
    },
    /// The resolver is silent.
    #[error("the name `{0}` did not resolve within resolve-timeout: is the DNS server reachable?")]
    ResolveTimeout(String),
    /// It was not asked.
    #[error(
        "the name `{0}` was not looked up within resolve-timeout: {AT_ONCE} other names that apps ask for wait for a DNS server, as many as this egress looks up at once"
    )]
    #[strum(serialize = "resolve_timeout")]
    ResolveWait(String),
    /// Nobody listens there.
    #[error("connection refused by {0}: is the server up, and is this its port?")]
    Refused(Tried),
    /// No way to it.
    #[error("cannot connect to {0}: {1}")]
    Unreachable(Tried, String),
    /// No connection in time.
    #[error("no connection to {0} within connect-timeout")]
    Timeout(Tried),
    /// It is ourselves.
    #[error("{0} is an address that this process listens on: write the server's own address")]
    Loop(SocketAddr),
    /// No rule lets apps reach it.
    #[error("no rule of targets-allowed lets apps reach {0}")]
    TargetRefused(String),
    /// The kernel does not say where to.
    #[error("no original destination: is the nft rule in place?")]
    #[strum(serialize = "capture")]
    NoDestination,
    /// A connection of our own came back to us.
    #[error(
        "{0} is a connection of this process itself: the rule that redirects must leave its user out (meta skuid)"
    )]
    #[strum(serialize = "loop")]
    Redirected(SocketAddr),
    /// The far side of a tunnel does not connect.
    #[error("the far end of the tunnel at {far} refused {named}: {status} {cause}")]
    TunnelRefused {
        /// What the app asked for.
        named: String,
        /// Who refused.
        far: SocketAddr,
        /// With which status.
        status: u16,
        /// In which words.
        cause: String,
    },
    /// The app leaves first, as a TCP health check does.
    #[error("the app went away before it named a target")]
    #[strum(serialize = "client_gone")]
    Gone,
    /// The app does not say where to.
    #[error("the app does not speak the protocol of `capture`: {0}")]
    Capture(&'static str),
    /// The app begins to say where to, and does not end.
    #[error("the app did not finish naming its target within {} s", .0.as_secs())]
    #[strum(serialize = "capture")]
    Unfinished(Duration),
    /// No file descriptor for a connection in time.
    #[error(
        "no file descriptor is left for a connection: raise the limit of open files, or lower max-connections"
    )]
    Overloaded,
    /// There is a connection, and no TLS on it.
    #[error("{}", .0.error)]
    Handshake(Box<Failure>, SocketAddr),
}

/// The addresses that were tried.
#[derive(Debug)]
pub(crate) struct Tried(pub(crate) Vec<SocketAddr>);

impl std::fmt::Display for Tried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{address}")?;
        }
        Ok(())
    }
}

impl OriginError {
    /// There was a handshake, and the connection cannot be used.
    pub(super) fn handshake(error: ClientError, address: SocketAddr, session: &Session) -> Self {
        let failure = Failure {
            error,
            offer: None,
            cost: session.cost,
        };
        Self::Handshake(Box::new(failure), address)
    }

    /// There is a connection, and no TLS on it.
    pub(crate) fn is_handshake(&self) -> bool {
        matches!(self, Self::Handshake(..))
    }

    /// A rule refuses the target.
    pub(crate) fn is_target_refused(&self) -> bool {
        matches!(self, Self::TargetRefused(_))
    }

    /// The status that says so in HTTP.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::TargetRefused(_) => 403,
            Self::Unfinished(_) => 408,
            Self::TunnelRefused {
                status: status @ (403 | 504),
                ..
            } => *status,
            Self::Overloaded => 503,
            Self::ResolveTimeout(_) | Self::ResolveWait(_) | Self::Timeout(_) => 504,
            _ => 502,
        }
    }

    /// Every label of what comes before the handshake, for metrics that start at zero.
    pub(crate) const REASONS: [&'static str; 10] = [
        "resolve",
        "resolve_timeout",
        "refused",
        "unreachable",
        "timeout",
        "loop",
        "overloaded",
        "target_refused",
        "tunnel_refused",
        "capture",
    ];

    /// The metric label and log field.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Handshake(failure, _) => failure.error.reason(),
            other => other.into(),
        }
    }
}
