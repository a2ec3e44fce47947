//! What counts as verified, for how long, and how much is kept.
#![allow(clippy::unwrap_used)]
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::*;

const NAME: &str = "store.example.org";

fn certificate(serial: u64, last_year: i32) -> CertificateDer<'static> {
    let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
    params.serial_number = Some(serial.into());
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(last_year, 1, 1);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}

fn name(text: &'static str) -> ServerName<'static> {
    ServerName::try_from(text).unwrap()
}

#[test]
fn only_the_same_certificates_for_the_same_name_hold_and_only_for_twelve_hours() {
    let (verified, leaf, other) = (
        Verified::default(),
        certificate(1, 2100),
        certificate(2, 2100),
    );
    let (now, own) = (1_800_000_000, name(NAME));
    let later = now + LIFETIME.cast_signed();
    assert!(!verified.holds(&leaf, &[], &own, now));
    verified.add(&leaf, std::slice::from_ref(&other), &own, now);
    let others = std::slice::from_ref(&other);
    for (leaf, others, of, at, expected) in [
        (&leaf, others, &own, now, true),
        (&leaf, others, &own, later, true),
        (&leaf, others, &own, later + 1, false),
        // The clock was set back: it may not be valid yet.
        (&leaf, others, &own, now - 1, false),
        (&leaf, &[][..], &own, now, false),
        (&other, others, &own, now, false),
        (&leaf, others, &name("other.example.org"), now, false),
    ] {
        assert_eq!(
            verified.holds(leaf, others, of, at),
            expected,
            "{of:?} {at}"
        );
    }
    // Verified again, for as long again, and kept once.
    verified.add(&leaf, others, &own, later + 1);
    assert!(verified.holds(&leaf, others, &own, later + 1));
    assert!(!verified.holds(&leaf, others, &own, later));
    assert_eq!(verified.chains().by_hash.len(), 1);
}

#[test]
fn nothing_holds_past_the_first_certificate_that_ends() {
    let (verified, leaf, ca) = (
        Verified::default(),
        certificate(1, 2100),
        certificate(2, 2027),
    );
    let (end, own) = (1_798_761_600, name(NAME));
    let chain = [leaf.clone(), ca.clone()];
    let facts = verified.facts(&chain, &own, end - 60).unwrap();
    assert_eq!((facts.end, facts.until), (Some(end), end));
    verified.add(&leaf, std::slice::from_ref(&ca), &own, end - 60);
    assert!(verified.holds(&leaf, std::slice::from_ref(&ca), &own, end));
    assert!(!verified.holds(&leaf, &[ca], &own, end + 1));
}

#[test]
fn what_cannot_be_read_is_not_kept() {
    let (verified, own) = (Verified::default(), name(NAME));
    let unreadable = CertificateDer::from(vec![0x30, 0]);
    verified.add(&unreadable, &[], &own, 7);
    assert_eq!(verified.chains().by_hash.len(), 0);
    let facts = verified
        .facts(std::slice::from_ref(&unreadable), &own, 7)
        .unwrap();
    assert_eq!((facts.end, facts.until, facts.peer), (None, 6, None));
    // Behind one that can be read: that one has not ended, and no ticket counts.
    let (leaf, end) = (certificate(1, 2027), 1_798_761_600);
    let facts = verified
        .facts(&[leaf.clone(), unreadable.clone()], &own, 7)
        .unwrap();
    assert_eq!((facts.end, facts.until), (Some(end), 6));
    verified.add(&leaf, &[unreadable], &own, 7);
    assert_eq!(verified.chains().by_hash.len(), 0);
    assert!(verified.facts(&[], &own, 7).is_none());
}

#[test]
fn all_targets_together_keep_no_more_than_the_limit() {
    let (verified, leaf, now) = (Verified::default(), certificate(1, 2100), 1_800_000_000);
    let of = |target: usize| ServerName::try_from(format!("t{target}.example.org")).unwrap();
    // As many bytes as one chain may have, for more targets than there is room for.
    let others = vec![leaf.clone(); (MOST_BYTES_OF_ONE - 4096) / (leaf.len() + 32)];
    for target in 0..64 {
        verified.add(&leaf, &others, &of(target), now);
        assert!(verified.holds(&leaf, &others, &of(target), now), "{target}");
    }
    let chains = verified.chains();
    let bytes: usize = chains.by_hash.values().map(Chain::bytes).sum();
    assert_eq!(chains.bytes, bytes);
    assert!((MOST_BYTES / 2..=MOST_BYTES).contains(&bytes), "{bytes}");
    drop(chains);
    // One that is too large takes nobody's place.
    let too_many = vec![leaf.clone(); MOST_BYTES_OF_ONE / leaf.len() + 1];
    verified.add(&leaf, &too_many, &of(0), now);
    assert!(!verified.holds(&leaf, &too_many, &of(0), now));
    assert_eq!(verified.chains().bytes, bytes);
}
