//! What one stream has on its way, on a connection that all of its streams share: what others move is no sign of
//! life of one that hangs.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::proxy::codec::message::Outgoing;

/// Nothing was sent, or all of it is taken.
const NOTHING: u64 = 0;
/// Something was sent since the last look.
const NEW: u64 = u64::MAX;

/// Of one stream: one of the words above, or how many bytes of the connection its peer has once it has those of
/// the stream.
#[derive(Default)]
pub(super) struct ShareOfOutgoing(AtomicU64);

impl ShareOfOutgoing {
    /// Something of the stream was handed over.
    pub(super) fn sent(&self) {
        self.0.store(NEW, Ordering::Relaxed);
    }

    /// What the stream has on its way; `all`: what the connection has. `queued`: something of the stream has not left
    /// yet, behind what others sent.
    pub(super) fn of(&self, queued: bool, all: impl FnOnce() -> Outgoing) -> Outgoing {
        if queued {
            self.sent();
            return all();
        }
        let until = self.0.load(Ordering::Relaxed);
        if until == NOTHING {
            return Outgoing::default();
        }
        let all = all();
        let taken = all.sent.saturating_sub(all.untaken as u64);
        if until == NEW {
            self.0.store(all.sent, Ordering::Relaxed);
        } else if taken >= until {
            self.0.store(NOTHING, Ordering::Relaxed);
            return Outgoing::default();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_move_is_none_of_a_stream() {
        let share = ShareOfOutgoing::default();
        let at = |sent, untaken| Outgoing { sent, untaken };
        assert_eq!(share.of(false, || at(500, 100)), Outgoing::default());
        share.sent();
        assert_eq!(share.of(false, || at(1000, 400)), at(1000, 400));
        // Of the bytes in front of its own, 100 are taken.
        assert_eq!(share.of(false, || at(1000, 300)), at(1000, 300));
        assert_eq!(share.of(false, || at(1900, 901)), at(1900, 901));
        // All of its own are.
        assert_eq!(share.of(false, || at(2000, 1000)), Outgoing::default());
        assert_eq!(share.of(false, || at(9000, 500)), Outgoing::default());
        share.sent();
        assert_eq!(share.of(false, || at(9000, 500)), at(9000, 500));
    }

    #[test]
    fn what_has_not_left_is_not_taken() {
        let share = ShareOfOutgoing::default();
        let at = |sent, untaken| Outgoing { sent, untaken };
        share.sent();
        assert_eq!(share.of(true, || at(1000, 0)), at(1000, 0));
        assert_eq!(share.of(true, || at(2000, 0)), at(2000, 0));
        // It left among these.
        assert_eq!(share.of(false, || at(3000, 900)), at(3000, 900));
        assert_eq!(share.of(false, || at(3500, 501)), at(3500, 501));
        assert_eq!(share.of(false, || at(3500, 500)), Outgoing::default());
        // The peer's window let more of it go, which had waited for it.
        assert_eq!(share.of(true, || at(3500, 0)), at(3500, 0));
    }
}
