//! The tickets of an egress: bounded, used once, each of use to its own target and not past the end of what was
//! verified before it came, and without the library's hint of a group.
//!
//! That hint would make one classical answer stick: from then on only a classical share would be sent,
//! and a server that follows the client's shares would never choose a hybrid group again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{CertificateDer, ServerName};

use crate::tls::tickets::LIFETIME;

/// Tickets that are kept for a target; the oldest goes.
const MOST: usize = 8;

/// What the tickets of an egress take; the oldest make room. With ML-DSA one of them takes 20 KB: the library keeps the
/// server's chain with it, and ours may be in it.
const MOST_BYTES: usize = 1 << 20;
/// A ticket beyond this is not kept: it would take the place of too many others.
const MOST_BYTES_OF_ONE: usize = 64 * 1024;
/// What a ticket takes beside itself and the chain of its server.
const OVERHEAD: usize = 512;

/// The tickets of all targets.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<Kept<Tls13ClientSessionValue>>);

/// The tickets of one target. Several servers may be behind it, so each ticket has an end of its own.
#[derive(Debug)]
pub(super) struct Sessions {
    all: Arc<Tickets>,
    target: u64,
}

/// What is kept, the oldest first; tests have no tickets of the library.
#[derive(Debug)]
struct Kept<T> {
    tickets: VecDeque<Ticket<T>>,
    bytes: usize,
    /// Targets that there were.
    targets: u64,
}

#[derive(Debug)]
struct Ticket<T> {
    target: u64,
    of: ServerName<'static>,
    bytes: usize,
    value: T,
    until: i64,
}

/// The tickets of a target, as one connection takes one and adds its own.
#[derive(Debug)]
pub(super) struct ConnectionTickets {
    all: Arc<Sessions>,
    /// When what this connection rests on ends, unix seconds: its server's verification, or that of the server
    /// whose ticket it resumes. Until it is known no ticket is kept.
    until: AtomicI64,
    /// Bytes of the chain of this connection's server.
    chain: AtomicUsize,
    /// Bytes of the ticket that is handed to the library.
    incoming: Arc<AtomicUsize>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            tickets: VecDeque::new(),
            bytes: 0,
            targets: 0,
        }
    }
}

impl<T> Kept<T> {
    fn insert(&mut self, ticket: Ticket<T>, now: i64) {
        if ticket.until < now || ticket.bytes > MOST_BYTES_OF_ONE {
            return;
        }
        let of_target = |other: &Ticket<T>| other.target == ticket.target;
        if self.tickets.iter().filter(|other| of_target(other)).count() >= MOST
            && let Some(oldest) = self.tickets.iter().position(of_target)
        {
            self.remove(oldest);
        }
        while self.bytes + ticket.bytes > MOST_BYTES && self.remove(0).is_some() {}
        self.bytes += ticket.bytes;
        self.tickets.push_back(ticket);
    }

    /// The newest: the server takes it for the longest.
    fn take(&mut self, target: u64, name: &ServerName<'_>, now: i64) -> Option<Ticket<T>> {
        // None lasts longer, unless it came while the clock was ahead.
        let latest = now.saturating_add(LIFETIME.cast_signed());
        self.retain(|ticket| (now..=latest).contains(&ticket.until));
        let is_its = |ticket: &Ticket<T>| ticket.target == target && ticket.of == *name;
        let newest = self.tickets.iter().rposition(is_its)?;
        self.remove(newest)
    }

    fn remove(&mut self, index: usize) -> Option<Ticket<T>> {
        let removed = self.tickets.remove(index)?;
        self.bytes -= removed.bytes;
        Some(removed)
    }

    fn retain(&mut self, keep: impl Fn(&Ticket<T>) -> bool) {
        let bytes = &mut self.bytes;
        self.tickets.retain(|ticket| {
            let kept = keep(ticket);
            *bytes -= if kept { 0 } else { ticket.bytes };
            kept
        });
    }
}

impl Tickets {
    fn kept(&self) -> MutexGuard<'_, Kept<Tls13ClientSessionValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of one more target.
    pub(super) fn of_target(self: &Arc<Self>) -> Sessions {
        let mut kept = self.kept();
        kept.targets += 1;
        Sessions {
            all: Arc::clone(self),
            target: kept.targets,
        }
    }
}

/// Nobody else can use them.
impl Drop for Sessions {
    fn drop(&mut self) {
        self.all
            .kept()
            .retain(|ticket| ticket.target != self.target);
    }
}

#[cfg(test)]
impl Sessions {
    /// The end of each ticket.
    pub(super) fn ends(&self) -> Vec<i64> {
        let kept = self.all.kept();
        let own = kept.tickets.iter().filter(|t| t.target == self.target);
        own.map(|ticket| ticket.until).collect()
    }
}

impl ConnectionTickets {
    pub(super) fn of(all: &Arc<Sessions>) -> Self {
        Self {
            all: Arc::clone(all),
            until: AtomicI64::new(i64::MIN),
            chain: AtomicUsize::new(0),
            incoming: Arc::default(),
        }
    }

    /// The bytes of the chain that its server showed, which the library keeps with each ticket.
    pub(super) fn of_server(&self, chain: &[CertificateDer<'_>]) {
        let bytes = chain.iter().map(|der| der.len() + size_of_val(der)).sum();
        self.chain.store(bytes, Ordering::Relaxed);
    }

    /// Where the bytes of a ticket are said before the library gets it.
    pub(super) fn incoming(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.incoming)
    }

    /// The server of a full handshake counts as verified until then: no ticket that it sends counts longer.
    pub(super) fn verified(&self, until: i64) {
        self.until.store(until, Ordering::Relaxed);
    }
}

/// Unix seconds.
pub(super) fn now() -> i64 {
    crate::tls::credentials::unix_seconds(SystemTime::now())
}

impl ClientSessionStore for ConnectionTickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        let of = |bytes: &AtomicUsize| bytes.load(Ordering::Relaxed);
        let ticket = Ticket {
            target: self.all.target,
            of: name,
            bytes: of(&self.chain) + of(&self.incoming) + OVERHEAD,
            value,
            until: self.until.load(Ordering::Relaxed),
        };
        self.all.all.kept().insert(ticket, now());
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let Sessions { all, target } = &*self.all;
        let ticket = all.kept().take(*target, name, now())?;
        self.until.store(ticket.until, Ordering::Relaxed);
        Some(ticket.value)
    }
}

#[cfg(test)]
mod tests;
