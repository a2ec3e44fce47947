//! Responses that a client has not taken yet: they are held in memory, HTTP/2's too, whose client need not open its
//! window. They count to the same bound as bodies, and a client that does not take one in time is given up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::bodies::{Bodies, Room};

/// For a client to take a response; the API server gives up after its own timeoutSeconds, which is 5.
const TAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The responses of one connection.
#[derive(Debug, Default)]
pub(super) struct Untaken {
    /// When each was made, in that order.
    made: Mutex<BTreeMap<u64, Instant>>,
    /// There is one again.
    begun: Notify,
    /// Others need the memory.
    evicted: Arc<Notify>,
}

impl Untaken {
    /// The same response, which counts until the client has taken it, with what is to be dropped then.
    pub(super) fn hold<T: Send + 'static>(
        self: &Arc<Self>,
        bodies: &Arc<Bodies>,
        response: Bytes,
        owed: T,
    ) -> Bytes {
        let room = bodies.enter(Arc::clone(&self.evicted));
        room.grow(response.len());
        let mut made = self.made();
        if made.is_empty() {
            self.begun.notify_one();
        }
        made.insert(room.number(), Instant::now());
        drop(made);
        Bytes::from_owner(Held {
            response,
            room,
            untaken: Arc::clone(self),
            _owed: owed,
        })
    }

    /// Completes when the client has to be given up.
    pub(super) async fn given_up(&self) {
        loop {
            let oldest = self.made().values().next().copied();
            let end = oldest.map(|made| made + TAKE_TIMEOUT);
            if end.is_some_and(|end| end <= Instant::now()) {
                return;
            }
            let over = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => self.begun.notified().await,
                }
            };
            tokio::select! {
                () = self.evicted.notified() => return,
                () = over => {}
            }
        }
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response that is not written yet.
struct Held<T> {
    response: Bytes,
    room: Room,
    untaken: Arc<Untaken>,
    _owed: T,
}

impl<T> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        &self.response
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        self.untaken.made().remove(&self.room.number());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_client_of_the_oldest_response_gives_way_and_one_that_is_taken_counts_no_longer() {
        let bodies = Arc::new(Bodies::new(100));
        let clients: [Arc<Untaken>; 3] = Default::default();
        let response = || Bytes::from(vec![b'x'; 60]);
        let [first, second, third] = clients.each_ref().map(|client| {
            let held = client.hold(&bodies, response(), ());
            if Arc::ptr_eq(client, &clients[0]) {
                // It has taken it whole.
                drop(held.slice(..30));
                drop(held);
                return None;
            }
            Some(held)
        });
        assert!(first.is_none());
        let gone = clients
            .each_ref()
            .map(|client| client.given_up().now_or_never().is_some());
        assert_eq!(gone, [false, true, false]);
        drop((second, third));
        assert_eq!(bodies.bytes(), 0);
        assert!(clients.iter().all(|client| client.made().is_empty()));
    }
}
