//! Heads of an unusual size that the streams of one connection hold: taken from what the process has for them, and
//! given back when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::reserve::{Reserve, Reserved};

/// Those of one connection.
#[derive(Default)]
pub(super) struct HeldHeads(AtomicUsize);

/// Bytes of one that is held, until dropped.
pub(crate) struct HeldHead {
    bytes: usize,
    of: Arc<HeldHeads>,
    _reserved: Reserved,
}

impl HeldHeads {
    /// One head of a connection is part of what the connection costs; more take `part` of `reserve` at most.
    pub(super) fn take(
        self: &Arc<Self>,
        reserve: &'static Reserve,
        part: usize,
        bytes: usize,
    ) -> Option<HeldHead> {
        let held = self.bytes();
        let mut reserved = reserve.nothing();
        let fits = held.saturating_add(bytes) <= part && reserved.grow(bytes);
        if held > 0 && !fits {
            return None;
        }
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Some(HeldHead {
            bytes,
            of: Arc::clone(self),
            _reserved: reserved,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A head with what it takes.
struct Owner {
    head: Bytes,
    _held: HeldHead,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.head
    }
}

impl HeldHead {
    /// The head itself, which holds this as long as anybody holds the head.
    pub(crate) fn of(self, head: Bytes) -> Bytes {
        Bytes::from_owner(Owner { head, _held: self })
    }
}

impl Drop for HeldHead {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    #[test]
    fn a_connection_takes_a_part_of_what_all_have_for_heads() {
        static HEADS: LazyLock<Reserve> = LazyLock::new(|| Reserve::new(100));
        let (one, other) = (Arc::<HeldHeads>::default(), Arc::<HeldHeads>::default());
        let large = one.take(&HEADS, 40, 60);
        assert!(large.is_some(), "the first head of a connection");
        assert!(one.take(&HEADS, 40, 1).is_none());
        drop(large);
        let held = [one.take(&HEADS, 40, 30), one.take(&HEADS, 40, 10)];
        assert!(held.iter().all(Option::is_some));
        assert!(one.take(&HEADS, 40, 1).is_none());
        let others = [other.take(&HEADS, 100, 60), other.take(&HEADS, 100, 1)];
        assert!(others[0].is_some() && others[1].is_none());
        drop((held, others));
        assert_eq!((one.bytes(), other.bytes()), (0, 0));
        assert!(one.take(&HEADS, 40, 40).is_some());
    }
}
