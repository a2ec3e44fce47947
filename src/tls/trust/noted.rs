//! What the verifier learned, for the handshake that asked: rustls hands nothing through to it.
//!
//! rustls calls the verifier inside `process_tls_records`, on the thread that drives the handshake.
//! So it notes there, and the driver takes the note before it waits and another one is driven.

use std::cell::RefCell;
use std::sync::Arc;

use super::generation::Trust;
use crate::tls::identity::PeerIdentity;

thread_local! {
    static NOTED: RefCell<Noted> = RefCell::default();
}

/// What was learned in one handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// The client, its certificate verified; whether it may in is another question.
    pub(crate) peer: Option<Arc<PeerIdentity>>,
    /// What verified it, now or when its ticket was made.
    verified_by: Option<Arc<Trust>>,
}

impl Noted {
    /// Before rustls works on a handshake: what it learned so far.
    pub(crate) fn restore(self) {
        NOTED.set(self);
    }

    /// After that: what it has learned by now.
    pub(crate) fn take() -> Self {
        NOTED.take()
    }

    pub(super) fn set_peer(peer: Arc<PeerIdentity>) {
        NOTED.with_borrow_mut(|noted| noted.peer = Some(peer));
    }

    pub(crate) fn set_verified_by(trust: &Arc<Trust>) {
        NOTED.with_borrow_mut(|noted| noted.verified_by = Some(Arc::clone(trust)));
    }

    /// Whether this, and nothing that it replaced, verified the client.
    pub(crate) fn was_verified_by(trust: &Arc<Trust>) -> bool {
        NOTED.with_borrow(|noted| {
            let by = noted.verified_by.as_ref();
            by.is_some_and(|by| Arc::ptr_eq(by, trust))
        })
    }
}
