//! The tickets of one target: bounded, used once, of no use past the end of what was verified, and
//! without the library's hint of a group.
//!
//! That hint would make one classical answer stick: from then on only a classical share would be sent,
//! and a server that follows the client's shares would never choose a hybrid group again.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// Tickets that are kept for a target; the oldest goes.
const MOST: usize = 8;

/// The tickets of one target.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    tickets: VecDeque<(ServerName<'static>, Tls13ClientSessionValue)>,
    /// When the verification that they rest on ends, unix seconds.
    until: i64,
}

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server of a full handshake at `now` counts as verified until then: no ticket counts longer.
    /// Servers behind one target share the earliest end.
    pub(super) fn verified(&self, until: i64, now: i64) {
        self.kept().verified(until, now);
    }
}

impl Kept {
    fn verified(&mut self, until: i64, now: i64) {
        self.expire(now);
        self.until = match self.until {
            past if past < now => until,
            earlier => earlier.min(until),
        };
    }

    fn expire(&mut self, now: i64) {
        if self.until < now {
            self.tickets.clear();
        }
    }
}

/// Unix seconds.
pub(super) fn now() -> i64 {
    crate::tls::credentials::unix_seconds(SystemTime::now())
}

impl ClientSessionStore for Sessions {
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
        let mut kept = self.kept();
        if kept.tickets.len() >= MOST {
            kept.tickets.pop_front();
        }
        kept.tickets.push_back((name, value));
    }

    /// The newest: the server takes it for the longest.
    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut kept = self.kept();
        kept.expire(now());
        let newest = kept.tickets.iter().rposition(|(of, _)| of == name)?;
        kept.tickets.remove(newest).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_end_counts_until_it_is_past() {
        let mut kept = Kept::default();
        for (now, until, expected) in [
            (1000, 2000, 2000),
            // Another server of the target, and a later verification of the first one.
            (1100, 1500, 1500),
            (1200, 3000, 1500),
            (1500, 3000, 1500),
            (1501, 3000, 3000),
        ] {
            kept.verified(until, now);
            assert_eq!(kept.until, expected, "{now}");
        }
    }
}
