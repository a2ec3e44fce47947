//! The listeners and egresses that run, and their change to another configuration.

use std::net::SocketAddr;

use super::base::Base;
use super::egress::ReadyEgress;
use super::live::{Live, Side, Stopping};
use super::plan::{Plan, Present, Running, Step};
use super::ready::Ready;
use super::sockets::Wanted;
use super::watchers::Watchers;
use crate::admin::View;
use crate::drain::Drain;
use crate::listener::Bound;
use crate::probes::ProbeTable;

/// Everything that accepts.
#[derive(Default)]
pub(super) struct Sides {
    listeners: Vec<Live<Ready>>,
    egresses: Vec<Live<ReadyEgress>>,
}

/// By name, what a plan changes.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Changes {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn add<S: Side>(&mut self, running: &[Live<S>], steps: &[Step<S>]) {
        let known = |name: &str| running.iter().any(|live| live.side.name() == name);
        for step in steps {
            match step {
                Step::Keep(_) => {}
                Step::Start(side, _) if known(side.name()) => {
                    self.changed.push(side.name().to_owned());
                }
                Step::Start(side, _) => self.added.push(side.name().to_owned()),
            }
        }
        let names = running.iter().map(|live| live.side.name());
        let gone = names.filter(|name| steps.iter().all(|step| step.name() != *name));
        self.removed.extend(gone.map(str::to_owned));
    }
}

impl Sides {
    /// What a plan is made against.
    pub(super) fn present(&self) -> Present {
        Present {
            listeners: running(&self.listeners),
            egresses: running(&self.egresses),
        }
    }

    pub(super) fn changes(&self, plan: &Plan) -> Changes {
        let mut changes = Changes::default();
        changes.add(&self.listeners, &plan.listeners);
        changes.add(&self.egresses, &plan.egresses);
        changes
    }

    /// Ends the accept loops of those that the plan does not keep. Their sockets stay open.
    pub(super) async fn stop_for(&mut self, plan: &Plan) -> Vec<Stopping> {
        let mut stopping = Vec::new();
        stop(&mut self.listeners, &plan.listeners, &mut stopping).await;
        stop(&mut self.egresses, &plan.egresses, &mut stopping).await;
        stopping
    }

    /// Starts what the plan starts, on sockets of those that stop where it says so.
    pub(super) fn start(
        &mut self,
        (listeners, egresses): (Vec<Step<Ready>>, Vec<Step<ReadyEgress>>),
        connections: &[usize],
        stopping: &mut [Stopping],
        shared: (&Base, &Drain),
    ) {
        let (of_listeners, of_egresses) =
            connections.split_at(listeners.len().min(connections.len()));
        // All of them first: what nobody takes is left for one of the same name.
        let listeners = with_sockets(listeners, stopping);
        let egresses = with_sockets(egresses, stopping);
        start(
            &mut self.listeners,
            listeners,
            of_listeners,
            stopping,
            shared,
        );
        start(&mut self.egresses, egresses, of_egresses, stopping, shared);
    }

    /// What the pages show.
    pub(super) fn view(&self, probes: ProbeTable) -> View {
        let listeners = self.listeners.iter();
        let egresses = self.egresses.iter();
        View {
            listeners: listeners
                .map(|live| live.side.status(live.addresses.clone()))
                .collect(),
            egresses: egresses
                .map(|live| live.side.status(&live.addresses))
                .collect(),
            probes,
        }
    }

    /// The tasks that keep their files up to date.
    pub(super) fn watchers(&self, base: &Base, before: Option<&mut Watchers>) -> Watchers {
        let listeners: Vec<_> = self.listeners.iter().map(|live| &live.side).collect();
        let egresses: Vec<_> = self.egresses.iter().map(|live| &live.side).collect();
        Watchers::start(&listeners, &egresses, base, before)
    }

    /// Where one of that name listens.
    pub(super) fn addresses(&self, name: &str) -> Option<&[SocketAddr]> {
        let listeners = self.listeners.iter();
        let listeners = listeners.map(|live| (live.side.name(), &live.addresses));
        let egresses = self.egresses.iter();
        let egresses = egresses.map(|live| (live.side.name(), &live.addresses));
        let mut both = listeners.chain(egresses);
        let (_, addresses) = both.find(|(known, _)| *known == name)?;
        Some(addresses)
    }

    /// Where all of them listen.
    pub(super) fn all_addresses(&self) -> impl Iterator<Item = &SocketAddr> {
        let egresses = self.egresses.iter().flat_map(|live| &live.addresses);
        self.of_listeners().chain(egresses)
    }

    /// Where the listeners do.
    pub(super) fn of_listeners(&self) -> impl Iterator<Item = &SocketAddr> {
        self.listeners.iter().flat_map(|live| &live.addresses)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.listeners.len() + self.egresses.len()
    }

    /// Ends their accept loops.
    pub(super) fn abort(&self) {
        self.listeners.iter().for_each(Live::abort);
        self.egresses.iter().for_each(Live::abort);
    }
}

fn running<S: Side>(all: &[Live<S>]) -> Vec<Running<S>> {
    let all = all.iter();
    let running = |live: &Live<S>| Running {
        side: live.side.clone(),
        sockets: live.sockets.clone(),
    };
    all.map(running).collect()
}

async fn stop<S: Side>(all: &mut Vec<Live<S>>, steps: &[Step<S>], stopping: &mut Vec<Stopping>) {
    let mut kept = Vec::new();
    for live in std::mem::take(all) {
        let keeps = |step: &Step<S>| matches!(step, Step::Keep(name) if name == live.side.name());
        if steps.iter().any(keeps) {
            kept.push(live);
        } else {
            stopping.push(live.stop().await);
        }
    }
    *all = kept;
}

/// A step with the sockets themselves.
enum Bindings<S> {
    Keep(String),
    Start(S, Vec<Bound>),
}

fn with_sockets<S: Side>(steps: Vec<Step<S>>, stopping: &mut [Stopping]) -> Vec<Bindings<S>> {
    let steps = steps.into_iter();
    let with_sockets = steps.map(|step| match step {
        Step::Keep(name) => Bindings::Keep(name),
        Step::Start(side, wanted) => {
            let sockets = wanted.into_iter();
            let sockets = sockets.filter_map(|wanted| socket(wanted, &side, stopping));
            let sockets = sockets.collect();
            Bindings::Start(side, sockets)
        }
    });
    with_sockets.collect()
}

fn start<S: Side>(
    all: &mut Vec<Live<S>>,
    steps: Vec<Bindings<S>>,
    connections: &[usize],
    stopping: &mut [Stopping],
    shared: (&Base, &Drain),
) {
    let mut kept = std::mem::take(all);
    for (step, connections) in steps.into_iter().zip(connections) {
        match step {
            Bindings::Keep(name) => {
                let index = kept.iter().position(|live| live.side.name() == name);
                all.extend(index.map(|index| {
                    let live = kept.swap_remove(index);
                    live.set_connections(*connections);
                    live
                }));
            }
            Bindings::Start(side, sockets) => {
                let mut before = stopping.iter_mut();
                let before = before.find(|stopping| stopping.name == side.name());
                all.push(Live::start((side, sockets), *connections, before, shared));
            }
        }
    }
}

/// The socket itself; bound anew if the one that was to be taken over has gone.
fn socket<S: Side>(wanted: Wanted, side: &S, stopping: &mut [Stopping]) -> Option<Bound> {
    let address = match wanted {
        Wanted::New(bound) => return Some(bound),
        Wanted::Held(address) => address,
    };
    for stopping in stopping {
        let sockets = &mut stopping.sockets;
        let held = sockets.iter();
        let mut held = held.map(Bound::address);
        if let Some(index) = held.position(|held| held.as_ref() == Some(&address)) {
            let mut bound = sockets.swap_remove(index);
            match bound.follow(side.socket()) {
                Err(error) if bound.is_reachable() => {
                    tracing::warn!(listener = %side.name(), %address, %error, "backlog or mode unchanged");
                }
                Err(error) => {
                    tracing::error!(listener = %side.name(), %address, %error, "no client reaches this address: the file of its socket is gone");
                }
                Ok(()) => {}
            }
            return Some(bound);
        }
    }
    let bound = Bound::bind(side.socket(), &address);
    bound
        .inspect_err(|error| tracing::error!(%error, "address not served"))
        .ok()
}
