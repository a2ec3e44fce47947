//! Bytes that all HTTP/2 connections of the process share, taken before they are promised to a peer or
//! filled by one, and given back by dropping what was taken.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::budget::{Http2, Resources};

/// The bounds of this process.
pub(crate) static BOUNDS: LazyLock<Http2> =
    LazyLock::new(|| Http2::of(Resources::of_process().memory.map(|memory| memory.bytes)));
/// Windows of clients beyond the first.
pub(crate) static UPLOADS: LazyLock<Reserve> = LazyLock::new(|| Reserve::new(BOUNDS.uploads));
/// Response heads of an unusual size.
pub(crate) static HEADS: LazyLock<Reserve> = LazyLock::new(|| Reserve::new(BOUNDS.heads));
/// Request heads and trailers of an unusual size.
pub(crate) static REQUESTS: LazyLock<Reserve> = LazyLock::new(|| Reserve::new(BOUNDS.requests));
/// Windows of connections to upstreams.
pub(crate) static UPSTREAM: LazyLock<Reserve> = LazyLock::new(|| Reserve::new(BOUNDS.upstream));

/// Bytes that are left.
pub(crate) struct Reserve(AtomicUsize);

/// Bytes that were taken, until dropped.
pub(crate) struct Reserved {
    from: &'static Reserve,
    bytes: usize,
}

impl Reserve {
    pub(super) fn new(bytes: u64) -> Self {
        Self(AtomicUsize::new(bytes.try_into().unwrap_or(usize::MAX)))
    }

    /// Nothing yet.
    pub(crate) fn nothing(&'static self) -> Reserved {
        Reserved {
            from: self,
            bytes: 0,
        }
    }

    /// So many bytes, or half of what is left: the next stream gets something too.
    pub(crate) fn take_part(&'static self, most: usize) -> Reserved {
        let part = |left: usize| most.min(left / 2);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some(left - part(left))
            });
        Reserved {
            from: self,
            bytes: taken.map_or(0, part),
        }
    }
}

impl Reserved {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes more, if it is left.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let left = &self.from.0;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(bytes)
        });
        self.bytes += if taken.is_ok() { bytes } else { 0 };
        taken.is_ok()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.from.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_missing_until_it_is_given_back() {
        static RESERVE: LazyLock<Reserve> = LazyLock::new(|| Reserve::new(100));
        let mut one = RESERVE.nothing();
        assert!(one.grow(60) && !RESERVE.nothing().grow(50));
        assert!(one.grow(20) && !one.grow(21));
        assert_eq!(one.bytes(), 80);
        let part = RESERVE.take_part(1000);
        assert_eq!(part.bytes(), 10);
        drop((one, part));
        assert_eq!(RESERVE.take_part(30).bytes(), 30);
        assert!(RESERVE.nothing().grow(100));
    }
}
