//! Flags, environment and file become one `Config` with nothing left open.

use crate::{admin, drain, listener, proxy, tls};

/// Everything a run is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The operator's port.
    pub admin: admin::Settings,
    /// The end of the process.
    pub drain: drain::Settings,
    /// The listeners; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Worker threads.
    pub workers: usize,
    /// How and how much is logged.
    pub log: LogSettings,
}

/// One listener: socket, TLS, data path.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// The socket side.
    pub socket: listener::Settings,
    /// The TLS side.
    pub tls: tls::Settings,
    /// The data path.
    pub proxy: proxy::Settings,
}

/// How and how much is logged.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Text for people, JSON for collectors.
    pub format: LogFormat,
    /// A filter as `tracing-subscriber` reads it; `info` by default.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// `key=value` text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
