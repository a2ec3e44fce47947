//! The tickets of one target: bounded, used once, each of no use past the end of what was verified before it
//! came, and without the library's hint of a group.
//!
//! That hint would make one classical answer stick: from then on only a classical share would be sent,
//! and a server that follows the client's shares would never choose a hybrid group again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

use crate::tls::tickets::LIFETIME;

/// Tickets that are kept for a target; the oldest goes.
const MOST: usize = 8;

/// The tickets of one target. Several servers may be behind it, so each ticket has an end of its own.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Kept<Tls13ClientSessionValue>>);

/// What is kept; tests have no tickets of the library.
#[derive(Debug)]
struct Kept<T>(VecDeque<Ticket<T>>);

#[derive(Debug)]
struct Ticket<T> {
    of: ServerName<'static>,
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
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Kept<T> {
    fn insert(&mut self, ticket: Ticket<T>, now: i64) {
        if ticket.until < now {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(ticket);
    }

    /// The newest: the server takes it for the longest.
    fn take(&mut self, name: &ServerName<'_>, now: i64) -> Option<Ticket<T>> {
        // None lasts longer, unless it came while the clock was ahead.
        let latest = now.saturating_add(LIFETIME.cast_signed());
        self.0
            .retain(|ticket| (now..=latest).contains(&ticket.until));
        let newest = self.0.iter().rposition(|ticket| ticket.of == *name)?;
        self.0.remove(newest)
    }
}

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, Kept<Tls13ClientSessionValue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of each ticket.
    #[cfg(test)]
    pub(super) fn ends(&self) -> Vec<i64> {
        self.kept().0.iter().map(|ticket| ticket.until).collect()
    }
}

impl ConnectionTickets {
    pub(super) fn of(all: &Arc<Sessions>) -> Self {
        Self {
            all: Arc::clone(all),
            until: AtomicI64::new(i64::MIN),
        }
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
        let ticket = Ticket {
            of: name,
            value,
            until: self.until.load(Ordering::Relaxed),
        };
        self.all.kept().insert(ticket, now());
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let ticket = self.all.kept().take(name, now())?;
        self.until.store(ticket.until, Ordering::Relaxed);
        Some(ticket.value)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name() -> ServerName<'static> {
        ServerName::try_from("pool.example.org").unwrap()
    }

    fn ticket(value: u8, until: i64) -> Ticket<u8> {
        Ticket {
            of: name(),
            value,
            until,
        }
    }

    #[test]
    fn the_end_of_one_server_is_not_that_of_another_behind_the_same_target() {
        let mut kept = Kept::default();
        kept.insert(ticket(1, 3000), 1000);
        kept.insert(ticket(2, 2000), 1000);
        kept.insert(ticket(3, 2000), 1000);
        let mut taken = |now| kept.take(&name(), now).map(|ticket| ticket.value);
        assert_eq!(taken(2000), Some(3), "the newest, to its last second");
        assert_eq!(taken(2001), Some(1), "the other server has not ended");
        assert_eq!(taken(2001), None);
        kept.insert(ticket(4, 2000), 2001);
        assert!(kept.0.is_empty(), "it has ended already");
        let latest = 1000 + LIFETIME.cast_signed();
        for (until, value) in [(latest, Some(5)), (latest + 1, None)] {
            kept.insert(ticket(5, until), 1000);
            let taken = kept.take(&name(), 1000).map(|ticket| ticket.value);
            assert_eq!(taken, value, "by a clock that was ahead");
        }
    }

    #[test]
    fn the_oldest_makes_room_and_another_name_has_none() {
        let mut kept = Kept::default();
        for value in 0..9 {
            kept.insert(ticket(value, 3000), 1000);
        }
        let other = ServerName::try_from("other.example.org").unwrap();
        assert!(kept.take(&other, 1000).is_none());
        let all = std::iter::from_fn(|| kept.take(&name(), 1000));
        let all: Vec<_> = all.map(|ticket| ticket.value).collect();
        assert_eq!(all, [8, 7, 6, 5, 4, 3, 2, 1]);
    }
}
