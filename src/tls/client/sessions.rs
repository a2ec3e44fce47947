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
use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::tls::tickets::LIFETIME;

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

    /// These certificates were verified just now: no ticket counts past the first that ends, nor for
    /// longer than a ticket of ours does. Servers behind one target share the earliest end.
    pub(super) fn verified(&self, chain: &[CertificateDer<'_>]) {
        let now = now();
        let latest = now.saturating_add(LIFETIME.cast_signed());
        let until = end_of(chain).map_or(now, |end| end.min(latest));
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

/// The first end of these certificates (unix seconds), if all of them can be read.
pub(super) fn end_of(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let mut ends = chain.iter().map(|der| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    ends.try_fold(i64::MAX, |first, end| Some(first.min(end?)))
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

    #[test]
    fn a_verification_lasts_twelve_hours_at_most_and_not_at_all_for_what_cannot_be_read() {
        let sessions = Sessions::default();
        let before = now();
        sessions.verified(&[]);
        let until = sessions.kept().until;
        assert!((before..=now()).contains(&(until - LIFETIME.cast_signed())));
        sessions.verified(&[CertificateDer::from(vec![0x30, 0])]);
        assert!((before..=now()).contains(&sessions.kept().until));
    }
}
