//! Who goes when a bounded set is full: the oldest member of the source that has most of them.
//!
//! A source is a /24 of IPv4 or a /64 of IPv6. Nothing happens to anybody below the limit, so that
//! clients behind one address (NAT, a node's SNAT) are safe until the set itself is under attack.
//!
//! Handshakes that wait are kept in such a set. Open connections follow the same rule with the same
//! [`Source`] in `listener::admission`, which says why it needs no set.
//!
//! Use: one [`FairSet`] for each bounded thing, shared by the workers. [`FairSet::enter`] when a
//! connection begins to wait for its client, drop the [`Member`] when it stops waiting, and poll
//! [`Member::poll_evicted`] behind the socket: a client whose bytes are there has not kept us waiting.

mod rate;
mod source;
mod table;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

pub use self::rate::SourceRate;
pub use self::source::Source;
pub(crate) use self::table::Table;

/// A bounded set of waiting connections.
#[derive(Debug)]
pub struct FairSet {
    capacity: usize,
    table: Mutex<Table<oneshot::Sender<()>>>,
}

/// A place in the set; dropping it leaves the set.
#[derive(Debug)]
pub struct Member {
    set: Arc<FairSet>,
    source: Source,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

impl FairSet {
    /// A set of at most `capacity` members.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            capacity: capacity.max(1),
            table: Mutex::default(),
        })
    }

    /// Lets a newcomer in, always; if that is one too many, another member is told to go.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Member {
        let source = Source::from(address);
        let (sender, evicted) = oneshot::channel();
        let mut table = self.table();
        let number = table.insert(source, sender);
        if table.len() > self.capacity {
            evict(&mut table);
        }
        drop(table);
        Member {
            set: Arc::clone(self),
            source,
            number,
            evicted,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table<oneshot::Sender<()>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn evict(table: &mut Table<oneshot::Sender<()>>) -> bool {
    let member = table.evict();
    // It may have gone in this moment.
    member.map(|member| member.send(())).is_some()
}

impl Member {
    /// Ready once this member has to go. Costs one atomic load while it has not.
    pub fn poll_evicted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The sender lives in the table: it is gone only once it has sent.
        let _ = ready!(Pin::new(&mut self.evicted).poll(cx));
        Poll::Ready(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.set.table().remove(self.source, self.number);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::task::Waker;

    use super::*;

    fn enter(set: &Arc<FairSet>, address: &str) -> Member {
        set.enter(address.parse().unwrap())
    }

    fn must_go(member: &mut Member) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        member.poll_evicted(&mut cx).is_ready()
    }

    #[test]
    fn nobody_goes_below_the_limit() {
        let set = FairSet::new(3);
        let mut members: Vec<_> = (0..3).map(|_| enter(&set, "192.0.2.1")).collect();
        assert!(!members.iter_mut().any(must_go));
        drop(members);
        assert!(set.table().len() == 0);
        assert!(set.table().holds_nothing());
    }

    #[test]
    fn the_oldest_of_the_largest_source_goes_and_the_newcomer_stays() {
        let set = FairSet::new(4);
        let mut honest = enter(&set, "198.51.100.9");
        let mut flood: Vec<_> = (0..3)
            .map(|host| enter(&set, &format!("192.0.2.{host}")))
            .collect();
        let mut other = enter(&set, "203.0.113.7");
        assert!(must_go(&mut flood[0]), "the oldest of the /24");
        let mut next = enter(&set, "192.0.2.200");
        assert!(must_go(&mut flood[1]));
        assert!(!must_go(&mut flood[2]) && !must_go(&mut next));
        assert!(!must_go(&mut honest) && !must_go(&mut other));
        assert_eq!(set.table().len(), 4);
        // A connection that was told to go and goes takes nobody's place away.
        drop(flood);
        assert_eq!(set.table().len(), 3);
    }

    #[test]
    fn among_sources_of_one_size_the_oldest_of_all_goes() {
        let set = FairSet::new(2);
        let mut members: Vec<_> = ["192.0.2.1", "198.51.100.1", "203.0.113.1"]
            .iter()
            .map(|address| enter(&set, address))
            .collect();
        let gone: Vec<_> = members.iter_mut().map(must_go).collect();
        assert_eq!(gone, [true, false, false]);
    }

    #[test]
    fn a_source_is_a_24_or_a_64_however_the_address_is_written() {
        let source = |address: &str| Source::from(address.parse::<IpAddr>().unwrap());
        assert_eq!(source("192.0.2.1"), source("::ffff:192.0.2.254"));
        assert_ne!(source("192.0.2.1"), source("192.0.3.1"));
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:0:0:1"));
        assert_ne!(source("2001:db8:0:1::1"), source("2001:db8:0:2::1"));
    }

    #[test]
    fn another_limit_may_decide_that_the_set_is_full() {
        let set = FairSet::new(usize::MAX);
        assert!(!evict(&mut set.table()));
        let (mut one, mut other) = (enter(&set, "192.0.2.1"), enter(&set, "192.0.2.2"));
        assert!(evict(&mut set.table()));
        assert!(must_go(&mut one) && !must_go(&mut other));
        assert!(evict(&mut set.table()) && !evict(&mut set.table()));
        assert!(must_go(&mut other));
    }

    /// Against a plain list: the connection that goes is the oldest of a largest source.
    #[test]
    fn any_order_of_arrivals_and_departures_keeps_the_rule() {
        let set = FairSet::new(20);
        let mut members: Vec<(u8, Member)> = Vec::new();
        let mut seed = 7_u32;
        for _ in 0..5_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (subnet, leave) = ((seed >> 24) as u8 % 5, (seed >> 16).is_multiple_of(3));
            if leave && !members.is_empty() {
                let index = (seed >> 8) as usize % members.len();
                drop(members.remove(index));
            }
            members.push((subnet, enter(&set, &format!("10.0.{subnet}.1"))));
            let count = |wanted: u8| members.iter().filter(|(other, _)| *other == wanted).count();
            let most = (0..5).map(count).max().unwrap();
            let expected = (members.len() > 20).then(|| {
                let largest = |(subnet, _): &(u8, Member)| count(*subnet) == most;
                members.iter().position(largest).unwrap()
            });
            let gone = members.iter_mut().position(|(_, member)| must_go(member));
            assert_eq!(gone, expected);
            gone.map(|index| members.remove(index));
            assert_eq!(set.table().len(), members.len());
        }
    }
}
