#![allow(clippy::unwrap_used)]
use std::net::Ipv4Addr;

use super::*;
use crate::tls::hello::{Ja4, ja4};

/// A fingerprint that differs by the number of the one cipher suite.
fn fingerprint(number: u16) -> Ja4 {
    let mut body = vec![3, 3];
    body.extend([0; 33]);
    body.extend([0, 2]);
    body.extend(number.to_be_bytes());
    body.extend([1, 0, 0, 0]);
    let mut records = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    records.extend(body);
    ja4(&records).unwrap()
}

fn hello(number: u16) -> ClassicalHello {
    ClassicalHello {
        ja4: fingerprint(number),
        server_name: Some("chat.example".into()),
    }
}

fn census(addresses: Addresses) -> (Census, Instant) {
    let now = Instant::now();
    let settings = Settings {
        size: 256,
        addresses,
        window: Duration::from_mins(1),
    };
    (Census::new(settings, now), now)
}

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 2, 3, 4));

#[test]
fn classical_clients_are_told_apart_and_the_others_are_a_number() {
    let (census, now) = census(Addresses::Prefix);
    for _ in 0..97 {
        census.served(now, CLIENT, None, None);
    }
    let old = hello(1);
    census.served(now, CLIENT, Some(&old), None);
    census.served(now, Ipv4Addr::new(10, 2, 3, 99).into(), Some(&old), None);
    let peer = PeerIdentity {
        uris: vec!["spiffe://example.org/batch".to_owned()],
        sha256: "0123456789abcdef0123".to_owned(),
        ..PeerIdentity::default()
    };
    census.served(now, CLIENT, Some(&old), Some(&peer));
    census.failed(now, CLIENT, Some(&hello(2)), None);
    census.failed(now, CLIENT, None, None);
    let report = census.report(now);
    assert_eq!(
        (report.served, report.classical, report.failed),
        (100, 3, 1)
    );
    let rows = report.clients.iter().map(|client| {
        assert_eq!(client.server_name.as_deref(), Some("chat.example"));
        assert_eq!(client.source.as_deref(), Some("10.2.3.0/24"));
        let identity = client.identity.clone().unwrap_or_default();
        (client.ja4.clone(), identity, client.count, client.failed)
    });
    let mut rows: Vec<_> = rows.collect();
    rows[1..].sort_by_key(|row| row.3);
    let (old, new) = (fingerprint(1).to_string(), fingerprint(2).to_string());
    let batch = "spiffe://example.org/batch sha256:0123456789abcdef";
    assert_eq!(
        rows,
        [
            (old.clone(), String::new(), 2, 0),
            (old, batch.to_owned(), 1, 0),
            (new, String::new(), 1, 1),
        ]
    );
}

#[test]
fn as_much_of_an_address_is_kept_as_was_allowed() {
    let source = |addresses: Addresses, address: &str| {
        let (census, now) = census(addresses);
        census.served(now, address.parse().unwrap(), Some(&hello(1)), None);
        census.report(now).clients.remove(0).source
    };
    for (address, prefix, full) in [
        ("10.2.3.4", "10.2.3.0/24", "10.2.3.4"),
        ("::ffff:10.2.3.4", "10.2.3.0/24", "10.2.3.4"),
        (
            "2001:db8:1:2345::9",
            "2001:db8:1:2300::/56",
            "2001:db8:1:2345::9",
        ),
    ] {
        assert_eq!(source(Addresses::None, address), None);
        assert_eq!(source(Addresses::Prefix, address).as_deref(), Some(prefix));
        assert_eq!(source(Addresses::Full, address).as_deref(), Some(full));
    }
}

#[test]
fn two_windows_are_kept_and_what_is_older_is_forgotten() {
    let (census, start) = census(Addresses::None);
    let at = |seconds| start + Duration::from_secs(seconds);
    let counts = |seconds| {
        let report = census.report(at(seconds));
        let kinds: Vec<_> = report.clients.iter().map(|client| client.count).collect();
        (report.served, report.classical, kinds)
    };
    census.served(at(10), CLIENT, Some(&hello(1)), None);
    census.served(at(20), CLIENT, None, None);
    // Hybrid connections turn the window too.
    census.served(at(70), CLIENT, None, None);
    census.served(at(80), CLIENT, Some(&hello(1)), None);
    assert_eq!(counts(119), (4, 2, vec![2]));
    assert_eq!(counts(121), (2, 1, vec![1]));
    assert_eq!(counts(181), (0, 0, vec![]));
    census.served(at(500), CLIENT, None, None);
    assert_eq!(counts(501), (1, 0, vec![]));
}

#[test]
fn nothing_is_counted_when_it_is_off() {
    let now = Instant::now();
    let census = Census::new(Settings::OFF, now);
    census.served(now, CLIENT, Some(&hello(1)), None);
    census.failed(now, CLIENT, Some(&hello(1)), None);
    let report = census.report(now);
    assert_eq!(
        (report.served, report.failed, report.clients.len()),
        (0, 0, 0)
    );
}

#[test]
fn a_name_that_is_too_long_is_kept_by_its_fingerprint() {
    assert_eq!(&*bounded("a sha256:1".to_owned()), "a sha256:1");
    let long = format!("spiffe://{} sha256:12", "a".repeat(300));
    assert_eq!(&*bounded(long), "sha256:12");
    assert_eq!(bounded("ü".repeat(300)).len(), MAX_IDENTITY);
}

/// A million clients, each from a place of its own, and twenty that come back: those twenty are found, in
/// their order, and no more is kept than was promised.
#[test]
fn a_million_random_peers_leave_it_small_and_the_most_frequent_right() {
    let (census, now) = census(Addresses::Full);
    let hello = hello(1);
    let frequent = |number: u32| Ipv4Addr::from_bits(0x0a00_0000 | number);
    // 20 clients with 8000, 9000, … arrivals, spread over the million.
    let mut due: Vec<u32> = (0..20_u32)
        .flat_map(|number| vec![number; 8000 + 1000 * number as usize])
        .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut expected = 0;
    for _ in 0..1_000_000 {
        let stranger = Ipv4Addr::from_bits(0x4000_0000 | random() as u32 >> 2);
        census.served(now, stranger.into(), Some(&hello), None);
        // More often than one in three: all of them come before the million is over.
        if !due.is_empty() && random() % 5 < 2 {
            let next = due.swap_remove(random() as usize % due.len());
            census.served(now, frequent(next).into(), Some(&hello), None);
            expected += 1;
        }
    }
    assert!(due.is_empty(), "{} are left", due.len());
    let report = census.report(now);
    assert_eq!(report.clients.len(), 256);
    assert_eq!(report.classical, 1_000_000 + expected);
    let top: Vec<_> = report.clients[..20]
        .iter()
        .map(|client| client.source.clone().unwrap())
        .collect();
    let right: Vec<_> = (0..20).rev().map(|n| frequent(n).to_string()).collect();
    assert_eq!(top, right);
    let most = report.classical / 256;
    for (client, number) in report.clients.iter().zip((0..20).rev()) {
        let truth = 8000 + 1000 * number;
        assert!(client.error <= most, "{client:?}");
        let range = client.count - client.error..=client.count;
        assert!(range.contains(&truth), "{truth}: {client:?}");
    }
    let windows = census.lock();
    assert!(windows.current.clients.entries().len() <= 256);
    assert!(windows.last.is_none());
}
