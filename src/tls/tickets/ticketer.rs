//! What rustls asks for a ticket, and gives one to.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use super::facts::Facts;
use super::key_set::{KeySet, LIFETIME, SKEW};
use super::local::LocalKeys;
use super::scope::{Scope, ScopedKeys};
use super::session::{Reader, Session};
use super::store::TicketKeyStore;
use crate::tls::credentials::unix_seconds;
use crate::tls::trust::{Noted, Trust};

/// Where the keys come from.
pub(super) enum KeySource {
    File(Arc<TicketKeyStore>),
    Local(LocalKeys),
}

impl KeySource {
    fn current(&self) -> Arc<KeySet> {
        match self {
            Self::File(store) => store.current(),
            Self::Local(keys) => keys.current(),
        }
    }
}

/// The tickets of one listener.
pub(super) struct Ticketer {
    listener: Box<str>,
    keys: KeySource,
    trust: Option<Arc<ArcSwap<Trust>>>,
    scoped: ArcSwap<Scoped>,
}

/// Keys as they follow from what was in use.
struct Scoped {
    set: Arc<KeySet>,
    trust: Option<Arc<Trust>>,
    keys: ScopedKeys,
}

impl Scoped {
    fn new(listener: &str, set: Arc<KeySet>, trust: Option<Arc<Trust>>) -> Option<Self> {
        let scope = Scope {
            listener,
            trust: trust.as_ref().map(|trust| trust.digest_bytes()),
        };
        Some(Self {
            keys: scope.keys(&set)?,
            set,
            trust,
        })
    }

    fn is_of(&self, set: &Arc<KeySet>, trust: Option<&Arc<Trust>>) -> bool {
        let same_trust = match (&self.trust, trust) {
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (ours, theirs) => ours.is_none() && theirs.is_none(),
        };
        same_trust && Arc::ptr_eq(&self.set, set)
    }
}

impl Ticketer {
    pub(super) fn new(
        listener: &str,
        keys: KeySource,
        trust: Option<Arc<ArcSwap<Trust>>>,
    ) -> Option<Self> {
        let current = trust.as_ref().map(|trust| trust.load_full());
        let scoped = Scoped::new(listener, keys.current(), current)?;
        Some(Self {
            listener: listener.into(),
            keys,
            trust,
            scoped: ArcSwap::from_pointee(scoped),
        })
    }

    /// The keys of what is in use now.
    fn scoped(&self) -> Option<Arc<Scoped>> {
        let set = self.keys.current();
        let trust = self.trust.as_ref().map(|trust| trust.load_full());
        let scoped = self.scoped.load();
        if scoped.is_of(&set, trust.as_ref()) {
            return Some(Arc::clone(&scoped));
        }
        let fresh = Arc::new(Scoped::new(&self.listener, set, trust)?);
        self.scoped.store(Arc::clone(&fresh));
        Some(fresh)
    }

    /// `expires 8 | facts | session without certificates`, sealed.
    fn encrypt_at(&self, session: &[u8], now: u64) -> Option<Vec<u8>> {
        let scoped = self.scoped()?;
        let session = Session::parse(session)?;
        let latest = now.saturating_add(LIFETIME);
        let facts = match session.certificates.first() {
            None => None,
            Some(first) => {
                // What former CAs or rules accepted counts for nothing here.
                if !Noted::was_verified_by(scoped.trust.as_ref()?) {
                    return None;
                }
                if Facts::stands_in(first) {
                    Some(Facts::decode(first)?)
                } else {
                    Some(Facts::of_chain(&session.certificates, latest)?)
                }
            }
        };
        let expires = facts.as_ref().map_or(latest, |facts| facts.expires);
        let facts = match facts {
            Some(facts) => facts.encode()?,
            None => Vec::new(),
        };
        let session = Zeroizing::new(session.with_certificate(None)?);
        let mut text = Zeroizing::new(Vec::with_capacity(10 + facts.len() + session.len()));
        text.extend_from_slice(&expires.to_be_bytes());
        text.extend_from_slice(&u16::try_from(facts.len()).ok()?.to_be_bytes());
        text.extend_from_slice(&facts);
        text.extend_from_slice(&session);
        scoped.keys.seal(&text)
    }

    /// The session, if the trust that verified its client would let it in now.
    fn decrypt_at(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let scoped = self.scoped()?;
        let text = scoped.keys.open(ticket)?;
        let mut reader = Reader { rest: &text };
        let expires = u64::from_be_bytes(reader.take(8)?.try_into().ok()?);
        // None lasts longer, unless it was sealed by a clock that was ahead.
        if expires <= now || expires > now.saturating_add(LIFETIME + SKEW) {
            return None;
        }
        let facts = reader.vector16()?;
        let session = reader.rest;
        if let Some(trust) = &scoped.trust {
            let known = (!facts.is_empty()).then(|| Facts::decode(facts));
            let peer = match &known {
                None => None,
                Some(known) => Some(&known.as_ref()?.peer),
            };
            if !trust.resumes(peer, now) {
                return None;
            }
            Noted::set_verified_by(trust);
        }
        let certificate = (!facts.is_empty()).then_some(facts);
        Session::parse(session)?.with_certificate(certificate)
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.encrypt_at(plain, now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.decrypt_at(cipher, now())
    }
}

fn now() -> u64 {
    u64::try_from(unix_seconds(SystemTime::now())).unwrap_or_default()
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticketer")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
