//! The servers' certificates that were verified: a server that shows the same ones again is not verified
//! again before they, or twelve hours, end. What it signs with its key is verified each time.
//!
//! webpki's verdict depends on nothing else: the CAs and the rules are those of one generation, there are no
//! revocation lists, and what held for a name at two times held between them.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::tls::identity::PeerIdentity;
use crate::tls::tickets::LIFETIME;

/// What the chains of one egress take, whatever the number of its targets; any of them makes room.
const MOST_BYTES: usize = 1 << 20;
/// A chain beyond this is verified each time: it would take the place of too many others.
const MOST_BYTES_OF_ONE: usize = 64 * 1024;

/// The certificates that were verified with the CAs of one generation.
#[derive(Debug, Default)]
pub(super) struct Verified {
    chains: Mutex<Chains>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Chains {
    /// By the hash of certificates and name. Nobody else can choose two with the same one; if two have it, the
    /// later one is kept.
    by_hash: HashMap<u64, Chain>,
    bytes: usize,
}

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
    fn is(&self, leaf: &[u8], others: &[CertificateDer<'_>], name: &ServerName<'_>) -> bool {
        *self.leaf == *leaf && self.others == others && self.name == *name
    }

    /// What it takes, about: the names of the leaf are held once more, as text.
    fn bytes(&self) -> usize {
        let der = |der: &CertificateDer<'_>| der.len() + size_of_val(der);
        let others = self.others.iter().map(der);
        2 * self.leaf.len() + others.sum::<usize>() + self.name.to_str().len() + size_of::<Self>()
    }
}

impl Chains {
    fn add(&mut self, hash: u64, chain: Chain) {
        self.remove(hash);
        let bytes = chain.bytes();
        if bytes > MOST_BYTES_OF_ONE {
            return;
        }
        while self.bytes + bytes > MOST_BYTES
            && let Some(any) = self.by_hash.keys().next().copied()
        {
            self.remove(any);
        }
        self.bytes += bytes;
        self.by_hash.insert(hash, chain);
    }

    fn remove(&mut self, hash: u64) {
        if let Some(chain) = self.by_hash.remove(&hash) {
            self.bytes -= chain.bytes();
        }
    }
}

impl Verified {
    fn chains(&self) -> MutexGuard<'_, Chains> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
    ) -> u64 {
        self.hasher.hash_one((leaf, others, name))
    }

    /// What is kept of this chain for this name.
    fn kept<T>(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        read: impl FnOnce(&Chain) -> T,
    ) -> Option<T> {
        let hash = self.hash(leaf, others, name);
        let chains = self.chains();
        let chain = chains.by_hash.get(&hash)?;
        chain.is(leaf, others, name).then(|| read(chain))
    }

    /// Whether this chain was verified for this name, and that holds at `now`.
    pub(super) fn holds(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: i64,
    ) -> bool {
        let holds = |chain: &Chain| (chain.since..=chain.facts.until).contains(&now);
        self.kept(leaf, others, name, holds).unwrap_or(false)
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
        self.chains().add(self.hash(leaf, others, name), added);
    }

    /// What is known of a chain that was verified for this name, at `now` if it is not kept; `None` if there is
    /// none.
    pub(super) fn facts(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: i64,
    ) -> Option<Facts> {
        let (leaf, others) = chain.split_first()?;
        let known = self.kept(leaf, others, name, |chain| chain.facts.clone());
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
mod tests;
