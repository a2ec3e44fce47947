//! Flags, environment and file laid over one another: flag over environment over file over default.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::address;
use super::egress;
use super::environment::Environment;
use super::error::Error;
use super::file::{self, Layers};
use super::key::{Key, Scope, variable};
use super::layer::Layer;
use super::origin::Origin;
use super::value::{Located, Raw};
use crate::redact::Shown;

/// What the command line said.
#[derive(Clone, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--ports`: `PORT=UPSTREAM` entries, a comma between them.
    pub ports: Option<String>,
    /// `--egress`: `NAME=LISTEN->TARGET` entries, a comma between them.
    pub egress: Option<String>,
    /// Every other flag, with its value as typed; several values of one flag joined by commas.
    pub settings: Vec<(Key, String)>,
}

/// Which flags there are, not what they say: a value may be a key.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.settings.iter().map(|(key, _)| key);
        f.debug_set().entries(keys).finish()
    }
}

/// A larger file is no configuration; without a bound `--config /dev/zero` would not end.
const LARGEST_FILE: u64 = 1 << 20;

/// The layers of process and listeners.
pub(super) fn gather(flags: &Flags, environment: &Environment) -> Result<Layers, Error> {
    let path = named(flags, environment);
    let text = path.as_deref().map(read).transpose()?;
    let shown = path.map_or_else(String::new, |path| Shown::path(&path).to_string());
    combine(
        flags,
        environment,
        &shown,
        text.as_deref().unwrap_or_default(),
    )
}

/// The file that the command line or the environment names.
pub(super) fn named(flags: &Flags, environment: &Environment) -> Option<PathBuf> {
    let variable = || environment.get(&variable("config")).map(PathBuf::from);
    flags.config.clone().or_else(variable)
}

/// The same with the file's text at hand; `path` is for messages.
pub(super) fn combine(
    flags: &Flags,
    environment: &Environment,
    path: &str,
    text: &str,
) -> Result<Layers, Error> {
    let in_file = file::parse(path, text)?;
    let mut process = Layer::new(None);
    let mut listener = Layer::new(None);
    let mut egress = Layer::new(None);
    for (key, given) in from_flags_and_env(flags, environment) {
        let layer = match key.scope() {
            Scope::Process => &mut process,
            Scope::Listener => &mut listener,
            Scope::Egress => &mut egress,
        };
        layer.insert(key, given);
    }
    let entries = shorthand(flags.egress.as_ref(), environment, "egress");
    let egresses = egress::gather(egress, entries, in_file.egresses, path)?;
    let listeners = match shorthand(flags.ports.as_ref(), environment, "ports") {
        // An egress alone is a whole configuration.
        None if listener.is_empty() && in_file.listeners.is_empty() && !egresses.is_empty() => {
            Vec::new()
        }
        None => override_one(listener, in_file.listeners, path)?,
        Some((origin, entries)) if in_file.listeners.is_empty() => {
            expand(&listener, &origin, &entries, environment)?
        }
        Some((origin, _)) => {
            return Err(Error::Excluded {
                at: origin,
                other: format!("the listeners of {path}"),
                remedy: "write a [[listener]] for each port there",
            });
        }
    };
    Ok(Layers {
        process: process.layered_over(in_file.process),
        listeners,
        egresses,
    })
}

fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |source| Error::Unreadable {
        path: path.into(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    let size = file
        .take(LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if size as u64 > LARGEST_FILE {
        return Err(Error::TooLarge { path: path.into() });
    }
    Ok(text)
}

/// What flags say, and the environment where no flag does.
fn from_flags_and_env(flags: &Flags, environment: &Environment) -> Vec<(Key, Located)> {
    let given = |text: &str, origin| Located {
        raw: Raw::Word(text.to_owned()),
        origin,
    };
    let from = |key: Key| {
        if let Some((_, text)) = flags.settings.iter().find(|(flag, _)| *flag == key) {
            return Some((key, given(text, Origin::flag_of(key))));
        }
        let text = environment.get(&key.variable())?;
        Some((key, given(text, Origin::Environment(key.variable().into()))))
    };
    Key::ALL.iter().copied().filter_map(from).collect()
}

/// `--ports` or `--egress`: several in one value.
fn shorthand(
    flag: Option<&String>,
    environment: &Environment,
    name: &'static str,
) -> Option<(Origin, String)> {
    if let Some(text) = flag {
        return Some((Origin::Flag(name.into()), text.clone()));
    }
    let name = variable(name);
    let text = environment.get(&name)?.to_owned();
    Some((Origin::Environment(name.into()), text))
}

fn override_one(given: Layer, mut in_file: Vec<Layer>, path: &str) -> Result<Vec<Layer>, Error> {
    let first = given.keys().next();
    match (in_file.len(), first) {
        (0, None) if !path.is_empty() => Err(Error::NoListener {
            path: path.to_owned(),
        }),
        (0, _) => Ok(vec![given]),
        (1, _) => Ok(vec![given.layered_over(in_file.remove(0))]),
        (_, None) => Ok(in_file),
        (count, Some(key)) => Err(Error::ManyListeners {
            at: given.place(key),
            path: path.to_owned(),
            count,
        }),
    }
}

/// One listener for each entry of `--ports`, alike in everything else.
fn expand(
    shared: &Layer,
    origin: &Origin,
    entries: &str,
    environment: &Environment,
) -> Result<Vec<Layer>, Error> {
    if shared.explicit(Key::Upstream).is_some() {
        return Err(Error::Excluded {
            at: shared.place(Key::Upstream),
            other: origin.to_string(),
            remedy: "each port names its own upstream",
        });
    }
    let hosts = hosts(shared, environment)?;
    let prefix = match shared.explicit(Key::Name) {
        Some(name) => name.text(Key::Name)?,
        None => "port",
    };
    let entries = entries.split(',').map(str::trim);
    let listener = |entry| {
        let (port, upstream) = address::ports_entry(entry).map_err(|problem| Error::Address {
            at: origin.clone(),
            problem,
        })?;
        let listen = |ip: &IpAddr| SocketAddr::new(*ip, port).to_string();
        let own = [
            (Key::Name, Raw::Word(format!("{prefix}-{port}"))),
            (Key::Listen, Raw::List(hosts.iter().map(listen).collect())),
            (Key::Upstream, Raw::Word(upstream.to_string())),
        ];
        let mut layer = shared.clone();
        for (key, raw) in own {
            let origin = origin.clone();
            layer.insert(key, Located { raw, origin });
        }
        Ok(layer)
    };
    entries.map(listener).collect()
}

/// The addresses every port is bound on: those of `--listen`, or else the pod's.
fn hosts(shared: &Layer, environment: &Environment) -> Result<Vec<IpAddr>, Error> {
    let items = match shared.explicit(Key::Listen) {
        Some(given) => given.list(Key::Listen)?,
        None if environment.pod_ips().is_some() => vec!["$POD_IPS".to_owned()],
        None => {
            return Err(Error::Missing {
                at: shared.place(Key::Listen),
                remedy: "say which addresses --ports are bound on, or set POD_IPS (Kubernetes: fieldRef status.podIPs)",
            });
        }
    };
    address::hosts(&items, environment.pod_ips()).map_err(|problem| Error::Address {
        at: shared.place(Key::Listen),
        problem,
    })
}
