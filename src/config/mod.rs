//! Flags, environment and file become one `Config` with nothing left open.
//!
//! `key` is the table of all settings; `sources` lays what was written over one another as text,
//! `settle` reads each text once, `conflict` looks at all listeners together, `render` writes it back.

mod address;
mod alias;
mod conflict;
mod environment;
mod error;
mod file;
mod key;
mod layer;
mod render;
mod settle;
mod sources;
mod value;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

pub use self::address::{AddressError, socket};
pub use self::environment::Environment;
pub use self::error::{Error, Origin};
use self::file::Layers;
pub use self::key::{Form, Key, Preset};
use self::layer::Layer;
pub use self::settle::check_log_level;
pub use self::sources::Flags;
use self::value::{Given, Raw};
use crate::{admin, drain, listener, proxy, tls};

/// Everything a run is told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The operator's port.
    pub admin: admin::Settings,
    /// The JSON table of the app's probes that the admin port answers for, not parsed.
    pub probes: Option<String>,
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
    /// Its `max-connections` is not the default, which gives way to what the process may hold.
    pub explicit_connections: bool,
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

/// A configuration, and what the operator should hear about it once logging is up.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What runs.
    pub config: Config,
    /// One line each, without a full stop.
    pub warnings: Vec<String>,
}

impl Config {
    /// Lays flags over environment over file over defaults. The first mistake found is the error.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Error> {
        let warnings = environment.unknown()?;
        let layers = sources::gather(flags, environment)?;
        let config = Self::settle(&layers, environment)?;
        Ok(Loaded { config, warnings })
    }

    /// Reads the text of a file alone; `path` is for messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let (flags, environment) = (Flags::default(), Environment::default());
        let layers = sources::combine(&flags, &environment, path, text)?;
        Self::settle(&layers, &environment)
    }

    fn settle(layers: &Layers, environment: &Environment) -> Result<Self, Error> {
        let process = &layers.process;
        let pod_ips = environment.pod_ips();
        let listeners = layers.listeners.iter();
        let config = Self {
            admin: settle::admin(process, pod_ips)?,
            probes: settle::probes(process)?,
            drain: settle::drain(process)?,
            log: settle::log(process)?,
            listeners: listeners
                .map(|layer| settle::listener(layer, pod_ips))
                .collect::<Result<_, _>>()?,
            workers: settle::workers(process)?,
        };
        conflict::check(&config, process, &layers.listeners)?;
        Ok(config)
    }
}

/// Where `hybridge ctl` finds the admin port of the same host or pod: `flag`, else `HYBRIDGE_ADMIN`,
/// else the default. Loopback is preferred among several, and stands for "every address".
pub fn admin_address(flag: Option<&str>, environment: &Environment) -> Result<SocketAddr, Error> {
    let variable = Key::Admin.variable();
    let spoken = match (flag, environment.get(&variable)) {
        (Some(text), _) => Some((text, Origin::flag_of(Key::Admin))),
        (None, Some(text)) => Some((text, Origin::Environment(variable.into()))),
        (None, None) => None,
    };
    let mut layer = Layer::new(None);
    if let Some((text, origin)) = spoken {
        let raw = Raw::Word(text.to_owned());
        layer.insert(Key::Admin, Given { raw, origin });
    }
    let addresses = settle::admin(&layer, environment.pod_ips())?.addresses;
    let reachable = addresses.into_iter().map(reachable);
    reachable
        .min_by_key(|address| !address.ip().is_loopback())
        .ok_or_else(|| Error::Refused {
            at: layer.place(Key::Admin),
            problem: "there is no admin port to talk to",
        })
}

/// The address itself, or loopback for a wildcard.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}
