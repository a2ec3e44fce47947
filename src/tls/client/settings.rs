//! What one origin of TLS connections is told.

use std::path::PathBuf;
use std::time::Duration;

use crate::tls::identity::Rules;
use crate::tls::policy::TlsPolicy;

/// Who certifies the servers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CaSource {
    /// The PEM certificates of this file.
    File(PathBuf),
    /// The host's own bundle.
    System,
}

/// What one origin of TLS connections is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Which groups and suites, in which order, and the promise.
    pub policy: TlsPolicy,
    /// Who certifies the servers.
    pub ca: CaSource,
    /// Which servers by the URI in their certificate, whatever their name; empty: by name.
    pub peer_ids: Rules,
    /// PEM chain and key shown to servers that ask.
    pub pair: Option<(PathBuf, PathBuf)>,
    /// Protocols offered inside TLS (RFC 7301), the first preferred; none: the extension is not sent.
    pub alpn: Vec<String>,
    /// Sessions are resumed by ticket.
    pub resumption: bool,
    /// From the ClientHello to the finished handshake.
    pub handshake_timeout: Duration,
}
