//! TLS 1.3, terminated (`server`) and originated (`client`): policy, credentials, handshake, stream. Knows nothing of HTTP.

pub mod cas;
pub mod certificates;
pub mod client;
pub mod credentials;
pub(crate) mod digest;
pub mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
pub mod hello;
pub mod identity;
pub mod plaintext;
pub mod policy;
mod post_handshake;
mod protection;
pub mod queue;
mod record;
pub mod reload;
mod secrets;
pub(crate) mod served;
pub mod server;
mod server_messages;
mod signed_by;
pub mod signing;
mod standing;
pub mod stream;
pub mod tickets;
pub mod trust;
mod unverified;
pub mod workload;

use std::path::PathBuf;
use std::time::Duration;

use self::policy::{Profile, TlsPolicy};

/// What one listener's TLS side is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The algorithms that it is held to.
    pub profile: Profile,
    /// Which groups and suites, in which order, and the promise.
    pub policy: TlsPolicy,
    /// Socket of the SPIFFE Workload API that gives certificate, key and CAs instead of files.
    pub spiffe: Option<PathBuf>,
    /// Which of several identities that it gives; `None`: the first.
    pub spiffe_hint: Option<String>,
    /// PEM chain, leaf first. With `spiffe` what messages call the socket, as the key and `client_auth`'s ca.
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
