//! The order in which idle connections go: the oldest of the network that has the most of them, and so
//! on. Worked out for several at once: a look at all connections is dear, and a flood would pay it for
//! each newcomer.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use slab::Slab;

use super::activity::{Activity, Shed};

/// Found by one look, at most.
const BATCH: usize = 64;

/// Connections that may go, the first one first, as they were when looked at.
#[derive(Default)]
pub(super) struct Candidates(VecDeque<Candidate>);

struct Candidate {
    key: usize,
    word: u64,
}

impl Candidates {
    /// Tells the next one to close; its key and what it was. `None`: every connection has work.
    pub(super) fn next(
        &mut self,
        open: &Slab<Arc<Activity>>,
        limit: usize,
    ) -> Option<(usize, Shed)> {
        let told = self.take(open);
        if told.is_some() {
            return told;
        }
        // A batch is a small part of all, so that its order does not age.
        self.0 = look(open, (limit / 8).clamp(1, BATCH));
        self.take(open)
    }

    /// The word tells whether the connection is the same and has been idle all the time.
    fn take(&mut self, open: &Slab<Arc<Activity>>) -> Option<(usize, Shed)> {
        while let Some(Candidate { key, word }) = self.0.pop_front() {
            let told = open.get(key).and_then(|held| held.tell_to_close(word));
            if let Some(shed) = told {
                return Some((key, shed));
            }
        }
        None
    }
}

fn look(open: &Slab<Arc<Activity>>, count: usize) -> VecDeque<Candidate> {
    let mut idle: Vec<_> = open
        .iter()
        .filter_map(|(key, held)| Some((held.source(), held.idle_since()?, key)))
        .collect();
    idle.sort_unstable();
    let networks = idle.chunk_by(|(a, ..), (b, ..)| a == b);
    let mut heap: BinaryHeap<_> = networks
        .map(|members| (members.len(), Reverse(members[0].1), members))
        .collect();
    let mut found = VecDeque::with_capacity(count);
    while found.len() < count
        && let Some((_, _, members)) = heap.pop()
        && let Some(((_, word, key), rest)) = members.split_first()
    {
        let (key, word) = (*key, *word);
        found.push_back(Candidate { key, word });
        if let Some((_, next, _)) = rest.first() {
            heap.push((rest.len(), Reverse(*next), rest));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, Instant};

    use super::*;

    /// Connections by address and microseconds of age, in the order in which they go.
    fn order(connections: &[(&str, u64)]) -> Vec<usize> {
        let mut open = Slab::new();
        let now = Instant::now() + Duration::from_secs(100);
        for (address, age) in connections {
            let held = Activity::new(address.parse().unwrap(), Arc::default());
            if *age > 0 {
                held.idle(now.checked_sub(Duration::from_micros(*age)).unwrap());
            } else {
                assert!(held.begin());
            }
            open.insert(Arc::new(held));
        }
        let mut candidates = Candidates::default();
        let mut order = Vec::new();
        while let Some((key, _)) = candidates.next(&open, 8) {
            open.remove(key);
            order.push(key);
        }
        order
    }

    #[test]
    fn the_oldest_of_the_largest_network_goes_first() {
        let crowd = [
            ("192.0.2.1", 9),
            ("198.51.100.1", 3),
            ("198.51.100.2", 4),
            ("198.51.100.3", 2),
        ];
        // Three, then two of the crowd's network; then one each, and age decides.
        assert_eq!(order(&crowd), [2, 1, 0, 3]);
    }

    #[test]
    fn work_under_way_is_left_alone_and_makes_no_crowd() {
        let busy = [
            ("198.51.100.1", 0),
            ("198.51.100.2", 0),
            ("198.51.100.3", 0),
            ("192.0.2.1", 1),
        ];
        assert_eq!(order(&busy), [3]);
        assert_eq!(order(&busy[..3]), Vec::<usize>::new());
    }
}
