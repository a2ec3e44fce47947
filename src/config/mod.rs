//! Flags, environment and file become one `Config` with nothing left open.
//!
//! `key` is the table of all settings; `sources` lays what was written over one another as text,
//! `resolve` reads each text once, `conflict` looks at all listeners together, `render` writes it back.

mod address;
mod alias;
mod certificates;
mod circles;
mod client_auth;
mod conflict;
mod destination;
mod egress;
mod egress_error;
mod egress_socket;
mod environment;
mod error;
mod file;
mod key;
mod layer;
mod log_level;
mod neighbours;
mod origin;
mod profile;
mod render;
mod resolve;
mod settings;
mod signature;
mod size;
mod source;
mod sources;
mod spiffe;
mod syntax;
mod table;
mod traces;
mod tunnel;
mod unknown;
mod value;
mod value_type;

use std::net::SocketAddr;

pub(crate) use self::address::reachable;
pub use self::address::{AddressError, host_socket, socket};
pub(crate) use self::alias::flag_meant;
pub use self::egress_error::EgressError;
pub use self::environment::Environment;
pub use self::error::Error;
use self::file::Layers;
pub use self::key::Key;
use self::layer::Layer;
pub use self::log_level::log_level;
pub use self::origin::Origin;
pub use self::settings::{Config, EgressConfig, ListenerConfig, Loaded, LogFormat, LogSettings};
pub use self::source::Source;
pub use self::sources::Flags;
pub(crate) use self::traces::is_service_name;
use self::value::{Located, Raw};
pub use self::value_type::{DefaultValue, ValueType};
use crate::tls::policy::Profile;

impl Config {
    /// Lays flags over environment over file over defaults. The first mistake found is the error.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Error> {
        Self::load_beside(flags, environment, None)
    }

    /// The same beside an admin port that runs and stays.
    fn load_beside(
        flags: &Flags,
        environment: &Environment,
        admin: Option<&[SocketAddr]>,
    ) -> Result<Loaded, Error> {
        let mut warnings = environment.unknown()?;
        let layers = sources::gather(flags, environment)?;
        let config = Self::resolve(&layers, environment, admin)?;
        let traces = config.traces.as_ref();
        let of_traces = traces.and_then(|traces| traces.endpoint.warning());
        warnings.extend(of_traces.map(str::to_owned));
        Ok(Loaded { config, warnings })
    }

    /// Reads only the text of a file; `path` is for messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let (flags, environment) = (Flags::default(), Environment::default());
        let layers = sources::combine(&flags, &environment, path, text)?;
        Self::resolve(&layers, &environment, None)
    }

    fn resolve(
        layers: &Layers,
        environment: &Environment,
        admin: Option<&[SocketAddr]>,
    ) -> Result<Self, Error> {
        let process = &layers.process;
        let pod_ips = environment.pod_ips();
        let listeners = layers.listeners.iter();
        let config = Self {
            admin: resolve::admin(process, pod_ips)?,
            probes: resolve::probes(process)?,
            drain: resolve::drain(process)?,
            log: log_level::resolve(process)?,
            listeners: listeners
                .map(|layer| resolve::listener(layer, environment))
                .collect::<Result<_, _>>()?,
            egresses: layers
                .egresses
                .iter()
                .map(egress::resolve)
                .collect::<Result<_, _>>()?,
            workers: resolve::workers(process)?,
            traces: traces::resolve(process, environment)?,
        };
        conflict::check(&config, layers, admin)?;
        Ok(config)
    }
}

/// The profile that `hybridge check --profile` checks against.
pub fn profile(text: &str) -> Result<Profile, Error> {
    let origin = Origin::flag_of(Key::Profile);
    let raw = Raw::Word(text.to_owned());
    Located { raw, origin }.choice(Key::Profile)
}

const NO_ADMIN: &str =
    "there is no admin port to talk to: name the sidecar's, such as 127.0.0.1:9443";

/// Where `hybridge ctl` finds the admin port of the same host or pod: `flag`, else `HYBRIDGE_ADMIN`,
/// else the default. Loopback is preferred among several, and stands for "every address".
pub fn admin_address(flag: Option<&str>, environment: &Environment) -> Result<SocketAddr, Error> {
    let variable = Key::Admin.variable();
    let from_flags_and_env = match (flag, environment.get(&variable)) {
        (Some(text), _) => Some((text, Origin::flag_of(Key::Admin))),
        (None, Some(text)) => Some((text, Origin::Environment(variable.into()))),
        (None, None) => None,
    };
    let mut layer = Layer::new(None);
    if let Some((text, origin)) = from_flags_and_env {
        // Another word for none is told of `none` where that may be written.
        if address::as_none(text).is_err() {
            return Err(Error::Refused {
                at: origin,
                problem: NO_ADMIN,
            });
        }
        let raw = Raw::Word(text.to_owned());
        layer.insert(Key::Admin, Located { raw, origin });
    }
    let addresses = resolve::admin(&layer, environment.pod_ips())?.addresses;
    let reachable = addresses.into_iter().map(reachable);
    reachable
        .min_by_key(|address| !address.ip().is_loopback())
        .ok_or_else(|| Error::Refused {
            at: layer.place(Key::Admin),
            problem: NO_ADMIN,
        })
}
