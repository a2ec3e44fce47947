//! TLS 1.3 termination: policy, credentials, handshake, stream. Knows nothing of HTTP.

pub mod certificates;
pub mod credentials;
pub mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
pub mod hello;
pub mod identity;
mod pem;
pub mod plaintext;
pub mod policy;
mod post_handshake;
mod protection;
pub mod queue;
mod record;
pub mod reload;
pub mod server;
mod standing;
pub mod stream;
pub mod tickets;
pub mod trust;

use std::path::PathBuf;
use std::time::Duration;

use self::policy::TlsPolicy;

/// What one listener's TLS side is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which groups and suites, in which order, and the promise.
    pub policy: TlsPolicy,
    /// PEM chain, leaf first.
    pub cert: PathBuf,
    /// PEM private key of the leaf.
    pub key: PathBuf,
    /// Further pairs, and who gets which.
    pub certificates: certificates::Settings,
    /// Start without a usable pair, and refuse handshakes until the files hold one.
    pub wait_for_certificate: bool,
    /// From the accepted connection to the finished handshake, the hello included.
    pub handshake_timeout: Duration,
    /// Handshakes that may wait at once on this listener: for their client, and as many for their turn.
    pub max_handshakes: usize,
    /// How many handshakes each source may begin in a second; `None`: any number.
    pub handshake_rate_per_source: Option<u32>,
    /// Session tickets sent after each handshake, resumed ones too; 0 turns resumption off.
    pub tickets: usize,
    /// File of the keys of tickets, for several replicas; `None`: this process makes its own.
    pub ticket_keys: Option<PathBuf>,
    /// Who may in; `None`: clients are not asked for a certificate.
    pub client_auth: Option<trust::Settings>,
}
