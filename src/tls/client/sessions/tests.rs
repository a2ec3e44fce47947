//! The tickets of an egress.
#![allow(clippy::unwrap_used)]

use super::*;

fn name() -> ServerName<'static> {
    ServerName::try_from("pool.example.org").unwrap()
}

fn ticket(value: u8, until: i64) -> Ticket<u8> {
    Ticket {
        target: 1,
        of: name(),
        bytes: 1000,
        value,
        until,
    }
}

#[test]
fn the_end_of_one_server_is_not_that_of_another_behind_the_same_target() {
    let mut kept = Kept::default();
    kept.insert(ticket(1, 3000), 1000);
    kept.insert(ticket(2, 2000), 1000);
    kept.insert(ticket(3, 2000), 1000);
    let mut taken = |now| kept.take(1, &name(), now).map(|ticket| ticket.value);
    assert_eq!(taken(2000), Some(3), "the newest, to its last second");
    assert_eq!(taken(2001), Some(1), "the other server has not ended");
    assert_eq!(taken(2001), None);
    kept.insert(ticket(4, 2000), 2001);
    assert!(
        kept.tickets.is_empty() && kept.bytes == 0,
        "it has ended already"
    );
    let latest = 1000 + LIFETIME.cast_signed();
    for (until, value) in [(latest, Some(5)), (latest + 1, None)] {
        kept.insert(ticket(5, until), 1000);
        let taken = kept.take(1, &name(), 1000).map(|ticket| ticket.value);
        assert_eq!(taken, value, "by a clock that was ahead");
    }
}

#[test]
fn the_oldest_makes_room_and_another_name_has_none() {
    let mut kept = Kept::default();
    for value in 0..9 {
        kept.insert(ticket(value, 3000), 1000);
    }
    let other = ServerName::try_from("other.example.org").unwrap();
    assert!(kept.take(1, &other, 1000).is_none());
    assert!(kept.take(2, &name(), 1000).is_none());
    let all = std::iter::from_fn(|| kept.take(1, &name(), 1000).map(|t| t.value));
    let all: Vec<_> = all.collect();
    assert_eq!(all, [8, 7, 6, 5, 4, 3, 2, 1]);
}

/// Whatever the number of targets.
#[test]
fn the_oldest_of_all_targets_make_room_for_bytes() {
    let mut kept = Kept::default();
    let large = |target| Ticket {
        target,
        bytes: MOST_BYTES_OF_ONE,
        ..ticket(0, 3000)
    };
    let fit = (MOST_BYTES / MOST_BYTES_OF_ONE) as u64;
    for target in 1..=fit + 3 {
        kept.insert(large(target), 1000);
        assert!(kept.bytes <= MOST_BYTES);
    }
    assert!(kept.take(3, &name(), 1000).is_none());
    assert!(kept.take(4, &name(), 1000).is_some());
    assert_eq!(kept.bytes, MOST_BYTES - MOST_BYTES_OF_ONE);
    let too_large = Ticket {
        bytes: MOST_BYTES_OF_ONE + 1,
        ..large(99)
    };
    kept.insert(too_large, 1000);
    assert!(kept.take(99, &name(), 1000).is_none());
    kept.retain(|_| false);
    assert_eq!(kept.bytes, 0);
}
