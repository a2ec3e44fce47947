//! What has to happen so that a configuration is the one in use: which listeners and egresses stay as they
//! are, and for the others everything that can fail, done before anything is changed. The start is the
//! same with nothing running.

use std::net::SocketAddr;
use std::sync::Arc;

use super::base::Base;
use super::egress::{ReadyEgress, client_tls};
use super::error::Error;
use super::live::Side;
use super::ready::Ready;
use super::sockets::{Free, Wanted, addresses};
use super::traces;
use crate::budget::Budget;
use crate::config::{Config, EgressConfig, ListenerConfig};
use crate::listener::{Address, reaches, same_socket};
use crate::probes::ProbeTable;
use crate::proxy::UpstreamAddr;
use crate::tls::client::ClientTls;

/// A side that runs, and its addresses as asked for and as bound.
#[derive(Clone)]
pub(super) struct Running<S> {
    pub(super) side: S,
    pub(super) sockets: Vec<(Address, Address)>,
}

/// Everything that runs.
#[derive(Clone, Default)]
pub(super) struct Present {
    pub(super) listeners: Vec<Running<Ready>>,
    pub(super) egresses: Vec<Running<ReadyEgress>>,
}

/// What becomes of one listener or egress.
pub(super) enum Step<S> {
    /// It has these settings already.
    Keep(String),
    /// It accepts on these sockets from now on; one of that name stops.
    Start(S, Vec<Wanted>),
}

/// A configuration with everything loaded that it needs.
pub(super) struct Plan {
    pub(super) config: Config,
    pub(super) probes: ProbeTable,
    pub(super) budget: Budget,
    pub(super) listeners: Vec<Step<Ready>>,
    pub(super) egresses: Vec<Step<ReadyEgress>>,
    pub(super) traces: traces::Change,
}

impl<S> Running<S>
where
    S: Side,
{
    fn find<'a>(all: &'a [Self], name: &str) -> Option<&'a Self> {
        all.iter().find(|running| running.side.name() == name)
    }
}

impl<S: Side> Step<S> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Keep(name) => name,
            Self::Start(side, _) => side.name(),
        }
    }
}

impl Plan {
    /// Loads every file and binds every new address. Changes nothing of what runs.
    pub(super) fn make(
        config: Config,
        budget: Budget,
        present: &Present,
        base: &Base,
    ) -> Result<Self, Error> {
        let probes = match &config.probes {
            Some(text) => ProbeTable::from_json(text)?,
            None => ProbeTable::default(),
        };
        let circles = unreachable(&config);
        let stays = |config: &EgressConfig| {
            let running = Running::find(&present.egresses, &config.socket.name)?;
            let same = *running.side.config == *config && *running.side.circles == *circles;
            same.then_some(running)
        };
        let mut free = Free::default();
        for running in &present.listeners {
            if !config.listeners.contains(&running.side.config) {
                free.add(running.side.name(), &running.sockets);
            }
        }
        for running in &present.egresses {
            let same = |config: &EgressConfig| {
                config.socket.name == running.side.name() && stays(config).is_some()
            };
            if !config.egresses.iter().any(same) {
                free.add(running.side.name(), &running.sockets);
            }
        }
        let mut listeners = Vec::new();
        for wanted in &config.listeners {
            listeners.push(listener_step(wanted, &present.listeners, &mut free, base)?);
        }
        let mut egresses = Vec::new();
        for wanted in &config.egresses {
            egresses.push(match stays(wanted) {
                Some(running) => Step::Keep(running.side.name().to_owned()),
                None => egress_step(wanted, &circles, &present.egresses, &mut free, base)?,
            });
        }
        Ok(Self {
            traces: traces::change(&config, base)?,
            config,
            probes,
            budget,
            listeners,
            egresses,
        })
    }
}

fn listener_step(
    wanted: &ListenerConfig,
    present: &[Running<Ready>],
    free: &mut Free,
    base: &Base,
) -> Result<Step<Ready>, Error> {
    let running = Running::find(present, &wanted.socket.name);
    if let Some(running) = running
        && *running.side.config == *wanted
    {
        return Ok(Step::Keep(wanted.socket.name.clone()));
    }
    let ready = Ready::prepare(wanted, base, running.map(|running| &running.side))?;
    let sockets = free.sockets(&wanted.socket)?;
    Ok(Step::Start(ready, sockets))
}

fn egress_step(
    wanted: &EgressConfig,
    circles: &[SocketAddr],
    present: &[Running<ReadyEgress>],
    free: &mut Free,
    base: &Base,
) -> Result<Step<ReadyEgress>, Error> {
    let running = Running::find(present, &wanted.socket.name);
    let tls: Arc<ClientTls> = match running {
        Some(running) if running.side.config.tls == wanted.tls => Arc::clone(running.side.tls()),
        _ => Arc::new(client_tls(wanted)?),
    };
    let sockets = free.sockets(&wanted.socket)?;
    let own = addresses(&sockets);
    let ready = ReadyEgress::new(wanted, &tls, base, &own, circles);
    Ok(Step::Start(ready, sockets))
}

/// Addresses that no egress connects to, whatever a name resolves to: those of every egress, which takes
/// plaintext, those of listeners that forward to one, and the admin port.
fn unreachable(config: &Config) -> Vec<SocketAddr> {
    let (listeners, egresses) = (&config.listeners, &config.egresses);
    let sockets = || egresses.iter().map(|egress| &egress.socket);
    let addresses = sockets().flat_map(|socket| &socket.addresses);
    let mut own: Vec<SocketAddr> = addresses.copied().collect();
    for listener in listeners {
        let is_ours = match &listener.proxy.upstream {
            UpstreamAddr::Tcp(upstream) => own.iter().any(|own| reaches(*upstream, *own)),
            UpstreamAddr::Unix(path) => {
                let mut bound = sockets().flat_map(|socket| &socket.unix.paths);
                bound.any(|bound| same_socket(path, bound))
            }
            UpstreamAddr::Tunnel(_) => false,
        };
        if is_ours {
            own.extend(&listener.socket.addresses);
        }
    }
    own.extend(&config.admin.addresses);
    own
}
