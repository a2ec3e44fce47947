//! The result of reading the configuration: every setting of a run, with nothing left open.

use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::{admin, census, drain, listener, proxy, signature, tls, traces};

/// Everything a run is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The operator's port.
    pub admin: admin::Settings,
    /// The JSON table of the app's probes that the admin port makes, found to be one.
    pub probes: Option<String>,
    /// The end of the process.
    pub drain: drain::Settings,
    /// The listeners; at least one, or an egress.
    pub listeners: Vec<ListenerConfig>,
    /// The egresses.
    pub egresses: Vec<EgressConfig>,
    /// Worker threads.
    pub workers: usize,
    /// How and how much is logged.
    pub log: LogSettings,
    /// Where traces go, if anywhere.
    pub traces: Option<traces::Settings>,
}

/// One listener: socket, TLS, data path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListenerConfig {
    /// The socket side.
    pub socket: listener::Settings,
    /// Its `max-connections` is not the default, which gives way to what the process may hold.
    pub explicit_connections: bool,
    /// The TLS side.
    pub tls: tls::Settings,
    /// The data path.
    pub proxy: proxy::Settings,
    /// The signatures of requests, if they are asked for.
    pub signature: Option<signature::Settings>,
    /// What responses are signed with, if they are.
    pub responses: Option<signature::ResponseSettings>,
    /// Who comes without a hybrid group.
    pub census: census::Settings,
}

/// One egress: socket for apps, data path, TLS towards the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EgressConfig {
    /// The socket side.
    pub socket: listener::Settings,
    /// Its `max-connections` is not the default, which gives way to what the process may hold.
    pub explicit_connections: bool,
    /// The data path.
    pub egress: proxy::egress::Settings,
    /// The TLS side.
    pub tls: tls::client::Settings,
}

/// How and how much is logged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// Text for people, JSON for collectors.
    pub format: LogFormat,
    /// A filter as `tracing-subscriber` reads it; `info` by default.
    pub level: String,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum LogFormat {
    /// `key=value` text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// A configuration, and what the operator should hear about it once logging is up.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What runs.
    pub config: Config,
    /// One line each, without a full stop.
    pub warnings: Vec<String>,
}
