//! The certificates of one target that were verified: a server that shows the same ones again is not verified
//! again before they, or twelve hours, end. What it signs with its key is verified each time.
//!
//! webpki's verdict depends on nothing else: the CAs, the name and the rules are those of one generation and
//! one target, there are no revocation lists, and what held at two times held between them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::tls::identity::PeerIdentity;
use crate::tls::tickets::LIFETIME;

/// Chains that are kept for a target, and their bytes; the oldest goes.
const MOST: usize = 32;
const MOST_BYTES: usize = 64 * 1024;

/// The certificates of one target that were verified.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<VecDeque<Chain>>);

/// What is known of a chain.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Whose it is.
    pub(super) peer: Option<Arc<PeerIdentity>>,
    /// When the first of its certificates ends, unix seconds; the server's own, if another cannot be read; `None` if
    /// that cannot.
    pub(super) end: Option<i64>,
    /// When it is to be verified again.
    pub(super) until: i64,
}

#[derive(Debug)]
struct Chain {
    leaf: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
    name: ServerName<'static>,
    /// When it was verified.
    since: i64,
    facts: Facts,
}

impl Facts {
    /// Those of a chain that was verified at `since`.
    fn of(leaf: &[u8], others: &[CertificateDer<'_>], since: i64) -> Self {
        let all = std::iter::once(leaf).chain(others.iter().map(|der| &**der));
        let latest = since.saturating_add(LIFETIME.cast_signed());
        let end = first_end(all);
        Self {
            peer: PeerIdentity::of(leaf).map(Arc::new),
            end: end.or_else(|| first_end(std::iter::once(leaf))),
            // A server may send a certificate that nobody needs and only webpki can read. How long the others hold
            // is not known then, so the next handshake is verified again.
            until: end.map_or(since.saturating_sub(1), |end| end.min(latest)),
        }
    }
}

impl Chain {
    fn is(&self, leaf: &[u8], others: &[CertificateDer<'_>]) -> bool {
        *self.leaf == *leaf && self.others == others
    }

    fn bytes(&self) -> usize {
        let others = self.others.iter().map(|der| der.len());
        self.leaf.len() + others.sum::<usize>()
    }
}

impl Verified {
    fn chains(&self) -> MutexGuard<'_, VecDeque<Chain>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this chain was verified for this name, and that holds at `now`.
    pub(super) fn holds(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: i64,
    ) -> bool {
        self.chains().iter().any(|chain| {
            chain.is(leaf, others)
                && chain.name == *name
                && (chain.since..=chain.facts.until).contains(&now)
        })
    }

    /// This chain was verified for this name at `now`.
    pub(super) fn add(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: i64,
    ) {
        let facts = Facts::of(leaf, others, now);
        if facts.until < now {
            return;
        }
        let added = Chain {
            leaf: leaf.clone().into_owned(),
            others: others.iter().map(|der| der.clone().into_owned()).collect(),
            name: name.to_owned(),
            since: now,
            facts,
        };
        let mut chains = self.chains();
        chains.retain(|chain| !chain.is(leaf, others) || chain.name != added.name);
        chains.push_back(added);
        while chains.len() > MOST || chains.iter().map(Chain::bytes).sum::<usize>() > MOST_BYTES {
            chains.pop_front();
        }
    }

    /// What is known of a chain that was verified, at `now` if it is not kept; `None` if there is none.
    pub(super) fn facts(&self, chain: &[CertificateDer<'_>], now: i64) -> Option<Facts> {
        let (leaf, others) = chain.split_first()?;
        let known = self.chains();
        let known = known.iter().find(|chain| chain.is(leaf, others));
        let known = known.map(|chain| chain.facts.clone());
        Some(known.unwrap_or_else(|| Facts::of(leaf, others, now)))
    }
}

/// The first end of these certificates (unix seconds), if all of them can be read.
fn first_end<'a>(mut chain: impl Iterator<Item = &'a [u8]>) -> Option<i64> {
    chain.try_fold(i64::MAX, |first, der| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(first.min(certificate.validity().not_after.timestamp()))
    })
}

#[cfg(test)]
mod tests {
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
        assert_eq!(verified.chains().len(), 1);
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
        let facts = verified.facts(&chain, end - 60).unwrap();
        assert_eq!((facts.end, facts.until), (Some(end), end));
        verified.add(&leaf, std::slice::from_ref(&ca), &own, end - 60);
        assert!(verified.holds(&leaf, std::slice::from_ref(&ca), &own, end));
        assert!(!verified.holds(&leaf, &[ca], &own, end + 1));
    }

    #[test]
    fn what_cannot_be_read_is_not_kept_and_the_oldest_goes() {
        let (verified, own) = (Verified::default(), name(NAME));
        let unreadable = CertificateDer::from(vec![0x30, 0]);
        verified.add(&unreadable, &[], &own, 7);
        assert_eq!(verified.chains().len(), 0);
        let facts = verified
            .facts(std::slice::from_ref(&unreadable), 7)
            .unwrap();
        assert_eq!((facts.end, facts.until, facts.peer), (None, 6, None));
        // Behind one that can be read: that one has not ended, and no ticket counts.
        let (leaf, end) = (certificate(1, 2027), 1_798_761_600);
        let facts = verified
            .facts(&[leaf.clone(), unreadable.clone()], 7)
            .unwrap();
        assert_eq!((facts.end, facts.until), (Some(end), 6));
        verified.add(&leaf, &[unreadable], &own, 7);
        assert_eq!(verified.chains().len(), 0);
        assert!(verified.facts(&[], 7).is_none());
        let now = 1_800_000_000;
        let all: Vec<_> = (1..=MOST as u64 + 1)
            .map(|serial| certificate(serial, 2100))
            .collect();
        for leaf in &all {
            verified.add(leaf, &[], &own, now);
        }
        let held = |leaf| verified.holds(leaf, &[], &own, now);
        assert_eq!(all.iter().filter(|leaf| held(leaf)).count(), MOST);
        assert!(!held(&all[0]));
        // As many bytes as the limit: everything else goes.
        let many = vec![all[0].clone(); MOST_BYTES / all[0].len() - 1];
        verified.add(&all[0], &many, &own, now);
        assert!(verified.chains().len() <= 2);
        let too_many = vec![all[0].clone(); MOST_BYTES / all[0].len() + 1];
        verified.add(&all[0], &too_many, &own, now);
        assert_eq!(verified.chains().len(), 0);
    }
}
