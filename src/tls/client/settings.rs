//! What one origin of TLS connections is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::redact::Shown;
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

impl CaSource {
    /// What messages call it.
    pub(crate) fn shown(&self) -> Shown {
        match self {
            Self::File(path) => Shown::path(path),
            Self::System => Shown::path(Path::new("system")),
        }
    }
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
