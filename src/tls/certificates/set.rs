//! The pairs of a listener, and the choice among them. Each pair is reloaded by itself; what it is called
//! is read from the pair in use, so that a renewal may change its names.

use std::cmp::Reverse;
use std::io;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::advice::{Known, advice};
use super::name::{Fit, fit};
use super::settings::{PairSettings, PqCertificate, Settings, UnknownName};
use crate::tls::credentials::{CertificateFacts, Credentials};
use crate::tls::reload::CredentialStore;
use crate::tls::signing::{SigningThreads, THREADS, TIMEOUT};

/// The pairs of a listener; the first is for clients that ask for no known name.
#[derive(Debug)]
pub struct CertificateSet {
    first: Arc<CredentialStore>,
    further: Vec<Named>,
    settings: Settings,
    /// Where tokens sign, if a key lies in one.
    signing: Option<Arc<SigningThreads>>,
}

#[derive(Debug)]
struct Named {
    store: Arc<CredentialStore>,
    settings: PairSettings,
}

impl CertificateSet {
    /// `further` are the stores of the pairs in `settings`, in their order.
    pub fn new(
        first: Arc<CredentialStore>,
        further: impl IntoIterator<Item = Arc<CredentialStore>>,
        settings: Settings,
    ) -> Self {
        let pairs = further.into_iter().zip(settings.further.iter().cloned());
        Self {
            first,
            further: pairs
                .map(|(store, settings)| Named { store, settings })
                .collect(),
            settings,
            signing: None,
        }
    }

    /// With threads of its own for signatures, if a key lies in a token.
    pub fn with_signing_threads(self, places: usize) -> io::Result<Self> {
        let in_token = self.stores().any(|store| store.is_in_token());
        let start = || SigningThreads::start(THREADS, places, TIMEOUT);
        let signing = in_token.then(start).transpose()?;
        Ok(Self { signing, ..self })
    }

    /// Those threads.
    pub fn signing(&self) -> Option<&Arc<SigningThreads>> {
        self.signing.as_ref()
    }

    /// The pair for clients that ask for no known name.
    pub fn first(&self) -> &Arc<CredentialStore> {
        &self.first
    }

    /// Every pair, the first one first.
    pub fn stores(&self) -> impl Iterator<Item = &Arc<CredentialStore>> {
        let further = self.further.iter().map(|pair| &pair.store);
        std::iter::once(&self.first).chain(further)
    }

    /// What handshakes ask; a listener with one pair does not look at names at all.
    pub fn resolver(self: &Arc<Self>) -> Arc<dyn ResolvesServerCert> {
        if self.further.is_empty() {
            Arc::clone(&self.first) as _
        } else {
            Arc::clone(self) as _
        }
    }

    /// This set, if clients that ask for an unknown name are refused.
    pub(crate) fn refusing(self: &Arc<Self>) -> Option<Arc<Self>> {
        (self.settings.unknown_name == UnknownName::Refuse).then(|| Arc::clone(self))
    }

    /// Whether a pair is called `name`.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.candidates(name)
            .iter()
            .any(|candidate| candidate.fit.is_some())
    }

    /// What can be served and still surprises, as far as it is loaded.
    pub fn warnings(&self) -> Vec<String> {
        let loaded = self.stores().filter_map(|store| store.current());
        let of_pairs = loaded.flat_map(|pair| pair.warnings().to_vec());
        let of_pairs = of_pairs.map(|warning| warning.to_string());
        of_pairs.chain(self.advice()).collect()
    }

    /// Those that no pair has by itself: what its names are for the listener, and for the other pairs.
    pub fn advice(&self) -> Vec<String> {
        let loaded: Vec<_> = self.stores().map(|store| store.current()).collect();
        let written = self
            .further
            .iter()
            .map(|pair| pair.settings.names.as_slice());
        let written = std::iter::once(&[][..]).chain(written);
        let pairs: Vec<_> = self
            .stores()
            .zip(&loaded)
            .zip(written)
            .filter_map(|((store, pair), written)| {
                Some(Known {
                    cert: store.cert_path(),
                    written,
                    facts: pair.as_ref()?.facts(),
                })
            })
            .collect();
        advice(self.settings.pq_certificate, &pairs)
    }

    /// When the first of the pairs in use ends, unix seconds.
    pub fn first_end(&self) -> Option<i64> {
        self.first_validity().map(|(_, not_after)| not_after)
    }

    /// Begin and end of validity of the certificate that ends first, Unix seconds.
    pub fn first_validity(&self) -> Option<(i64, i64)> {
        let current = self.stores().filter_map(|store| store.current());
        current
            .map(|current| (current.facts().not_before, current.facts().not_after))
            .min_by_key(|(_, not_after)| *not_after)
    }

    fn candidates(&self, name: &str) -> Vec<Candidate> {
        let first = Candidate {
            fit: self
                .first
                .current()
                .and_then(|current| fit_of(current.facts(), name)),
            pair: self.first.current(),
            written: false,
        };
        let further = self.further.iter().map(|named| {
            let pair = named.store.current();
            let written = named.settings.names.iter();
            let written = written.filter_map(|own| fit(own.as_str(), name)).max();
            let of_facts = || fit_of(pair.as_ref()?.facts(), name);
            Candidate {
                fit: match named.settings.names.as_slice() {
                    [] => of_facts(),
                    _ => written,
                },
                written: written.is_some(),
                pair,
            }
        });
        std::iter::once(first).chain(further).collect()
    }

    /// The pairs that fit the name; without any, the first one and those that stand in for it.
    fn fitting(&self, name: Option<&str>) -> Vec<Candidate> {
        let mut candidates = name.map(|name| self.candidates(name)).unwrap_or_default();
        candidates.retain(|candidate| candidate.fit.is_some());
        if !candidates.is_empty() {
            return candidates;
        }
        let first = self.first.current();
        let stands_in = |named: &Named| {
            let pair = named.store.current()?;
            let covers = covers(pair.facts(), first.as_ref()?.facts());
            covers.then(|| Candidate::unnamed(Some(pair)))
        };
        let others: Vec<_> = self.further.iter().filter_map(stands_in).collect();
        std::iter::once(Candidate::unnamed(first))
            .chain(others)
            .collect()
    }

    /// Of the pairs that the operator wants served and the client can verify, the closest one.
    fn choose(
        &self,
        name: Option<&str>,
        verifies: impl Fn(&CertifiedKey) -> bool,
    ) -> Option<Arc<CertifiedKey>> {
        let mut candidates = self.fitting(name);
        let classical = |candidate: &Candidate| {
            let pair = candidate.pair.as_ref();
            pair.is_some_and(|pair| !pair.facts().is_post_quantum())
        };
        if candidates.iter().any(classical) {
            let always = self.settings.pq_certificate == PqCertificate::Always;
            candidates.retain(|candidate| classical(candidate) || always || candidate.written);
        }
        // A client that can verify two that are equally close gets the post-quantum one.
        candidates.sort_by_key(|candidate| (Reverse(candidate.fit), classical(candidate)));
        let closest = candidates.first()?.fit;
        let mut closest = candidates.iter().take_while(|one| one.fit == closest);
        if closest.all(|candidate| candidate.pair.is_none()) {
            // What is closest is not loaded yet and has to be waited for.
            return None;
        }
        let pairs: Vec<_> = candidates.into_iter().filter_map(|one| one.pair).collect();
        let fitting = pairs.iter().find(|pair| verifies(&pair.certified_key()));
        // Without one rustls says that there is no signature scheme in common.
        fitting
            .or_else(|| pairs.first())
            .map(|pair| pair.certified_key())
    }
}

impl ResolvesServerCert for CertificateSet {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        self.choose(hello.server_name(), |pair| {
            pair.key.choose_scheme(schemes).is_some()
        })
    }
}

/// A pair that may be the one.
struct Candidate {
    pair: Option<Arc<Credentials>>,
    fit: Option<Fit>,
    /// The operator wrote the name.
    written: bool,
}

impl Candidate {
    fn unnamed(pair: Option<Arc<Credentials>>) -> Self {
        Self {
            pair,
            fit: None,
            written: false,
        }
    }
}

fn fit_of(facts: &CertificateFacts, asked: &str) -> Option<Fit> {
    let names = facts.names.iter();
    names.filter_map(|name| fit(name, asked)).max()
}

/// Whether a certificate has every name of `first`, and so may be given to clients that ask for none.
fn covers(facts: &CertificateFacts, first: &CertificateFacts) -> bool {
    let mut names = first.names.iter();
    !first.names.is_empty() && names.all(|name| fit_of(facts, name).is_some())
}
