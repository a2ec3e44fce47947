//! Why an egress of a configuration cannot be run.

use thiserror::Error;

use super::origin::Origin;
use crate::proxy::TargetError;
use crate::proxy::egress::TargetRuleError;
use crate::redact::Shown;

/// What is wrong with an egress. Exit code 64.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EgressError {
    /// A target that is none.
    #[error("{at}: `{written}` {problem}")]
    Target {
        /// Place and key.
        at: Origin,
        /// As written.
        written: Shown,
        /// What is wrong.
        problem: TargetError,
    },
    /// A rule on targets that is none.
    #[error("{at}: `{written}` {problem}")]
    TargetRule {
        /// Place and key.
        at: Origin,
        /// As written.
        written: Shown,
        /// What is wrong.
        problem: TargetRuleError,
    },
    /// A target that leads back.
    #[error(
        "{at}: {target} is an address that {owner} accepts on: connections would loop; write the server's own address"
    )]
    Circle {
        /// Place and key.
        at: Origin,
        /// The target.
        target: String,
        /// Whose address it is.
        owner: String,
    },
    /// An egress that others could reach.
    #[error(
        "{at}: {address} is not loopback: anyone who reaches it would speak with our identity; use 127.0.0.1 or [::1], or accept that with unsafe-remote-listen (--unsafe-remote-listen)"
    )]
    RemoteListen {
        /// Place and key.
        at: Origin,
        /// The address.
        address: String,
    },
    /// An entry of `--egress` that is none.
    #[error(
        "{at}: `{written}` is not NAME=LISTEN->TARGET, such as store=127.0.0.1:9000->store.example.org:443"
    )]
    Entry {
        /// Place.
        at: Origin,
        /// As written.
        written: Shown,
    },
}
