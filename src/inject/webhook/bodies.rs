//! Memory for the bodies of requests, from the first byte to the plan, and of responses, until they are written. One that
//! waits for its client must not hold up one that is there: what is bounded is bytes, and the oldest gives way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The bodies of all connections.
#[derive(Debug)]
pub(super) struct Bodies {
    /// Bytes of all of them together.
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    next: u64,
    bytes: usize,
    /// In the order in which they came.
    bodies: BTreeMap<u64, (usize, Arc<Notify>)>,
}

impl Bodies {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            held: Mutex::default(),
        }
    }

    /// Room for one body, which holds nothing yet; `evicted` hears that it has to give way to others.
    pub(super) fn enter(self: &Arc<Self>, evicted: Arc<Notify>) -> Room {
        let mut held = self.lock();
        let number = held.next;
        held.next += 1;
        held.bodies.insert(number, (0, Arc::clone(&evicted)));
        Room {
            bodies: Arc::clone(self),
            number,
            evicted,
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room of one body, until dropped.
pub(super) struct Room {
    bodies: Arc<Bodies>,
    number: u64,
    evicted: Arc<Notify>,
}

impl Room {
    /// So many bytes more arrived; the oldest others give way to them.
    pub(super) fn grow(&self, bytes: usize) {
        let mut held = self.bodies.lock();
        let Some((own, _)) = held.bodies.get_mut(&self.number) else {
            return;
        };
        *own += bytes;
        held.bytes += bytes;
        while held.bytes > self.bodies.limit {
            let mut numbers = held.bodies.keys().copied();
            let Some(oldest) = numbers.find(|number| *number != self.number) else {
                return;
            };
            if let Some((bytes, evicted)) = held.bodies.remove(&oldest) {
                held.bytes -= bytes;
                evicted.notify_one();
            }
        }
    }

    /// It is larger than those of all bodies before.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Until it has to give way to others.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut held = self.bodies.lock();
        if let Some((bytes, _)) = held.bodies.remove(&self.number) {
            held.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(room: &Room) -> bool {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        Box::pin(room.evicted()).as_mut().poll(&mut cx).is_ready()
    }

    #[test]
    fn the_oldest_gives_way() {
        let bodies = Arc::new(Bodies::new(100));
        let [first, second, third] = [(); 3].map(|()| bodies.enter(Arc::default()));
        first.grow(60);
        drop(first);
        second.grow(60);
        assert!(!is_evicted(&second));
        third.grow(60);
        assert!(is_evicted(&second));
        assert!(!is_evicted(&third));
        // One alone may be larger: the limit of a body is another.
        third.grow(60);
        assert!(!is_evicted(&third));
        drop((second, third));
        assert_eq!(bodies.bytes(), 0);
        assert!(bodies.lock().bodies.is_empty());
    }
}
