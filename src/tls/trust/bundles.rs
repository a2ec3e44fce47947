//! One generation of trust from what an agent sends: a bundle for each trust domain, and revocation lists.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use zeroize::Zeroizing;

use super::any_of::AnyOf;
use super::chains::{Listed, Unlisted, listed};
use super::choice::Chosen;
use super::domains::Domains;
use super::error::TrustError;
use super::generation::{Trust, rules};
use super::lists::{Lists, OfDomain};
use super::settings::Settings;
use crate::tls::cas::{self, CaError, Certifies, ParsedCas};
use crate::tls::credentials::unix_seconds;
use crate::tls::digest::digest_of;

/// The CAs of one trust domain.
#[derive(Clone)]
pub(crate) struct Bundle {
    pub(crate) domain: String,
    pub(crate) pem: Zeroizing<Vec<u8>>,
}

/// What an agent says of CAs.
pub(crate) struct Bundles {
    /// The name only of one that cannot be read, as of those below.
    pub(crate) own: Result<Bundle, String>,
    pub(crate) federated: Vec<Result<Bundle, String>>,
    /// Revocation lists in DER.
    pub(crate) lists: Vec<Vec<u8>>,
}

impl Bundles {
    /// What follows from them under these settings.
    pub(crate) fn trust(&self, settings: &Settings) -> Result<Trust, TrustError> {
        let own = self.own.as_ref();
        let own = own.map_err(|domain| TrustError::AgentBundle(domain.clone()))?;
        Trust::from_bundles(settings, own, &self.federated, &self.lists)
    }

    fn domain(&self) -> &str {
        self.own
            .as_ref()
            .map_or_else(String::as_str, |own| &own.domain)
    }
}

/// What follows from an answer of an agent.
pub(crate) struct Followed {
    pub(crate) trust: Trust,
    /// What is to be remembered.
    pub(crate) bundles: Bundles,
    /// Why the CAs of its own trust domain are still those of the answer before.
    pub(crate) kept: Option<String>,
}

/// What an agent said last. It outlives a change of the rules: the agent may be away just then.
#[derive(Clone, Default)]
pub struct LastBundles(Arc<ArcSwapOption<Bundles>>);

impl LastBundles {
    pub(crate) fn remember(&self, bundles: Bundles) {
        self.0.store(Some(Arc::new(bundles)));
    }

    /// What follows from an answer under these settings. Where it has no CA for the own trust domain that can be used,
    /// the last ones of that domain stay in use, and the rest of it counts: an SVID that is not renewed ends, and a domain
    /// that is federated no longer is to be trusted no longer.
    pub(crate) fn follow(
        &self,
        bundles: Bundles,
        settings: &Settings,
    ) -> Result<Followed, TrustError> {
        let unusable = match bundles.trust(settings) {
            Err(unusable @ (TrustError::Ca(_) | TrustError::AgentBundle(_))) => unusable,
            trust => {
                return Ok(Followed {
                    trust: trust?,
                    bundles,
                    kept: None,
                });
            }
        };
        let domain = bundles.domain();
        let last = self.0.load();
        let last = last.as_ref().and_then(|last| last.own.as_ref().ok());
        let Some(last) = last.filter(|last| last.domain == domain) else {
            return Err(unusable);
        };
        let kept = format!(
            "bundle of `{domain}` not used, the CAs of the last one stay in use: {unusable}"
        );
        let bundles = Bundles {
            own: Ok(last.clone()),
            ..bundles
        };
        Ok(Followed {
            trust: bundles.trust(settings)?,
            bundles,
            kept: Some(kept),
        })
    }

    /// What follows from it under these settings, if there is anything.
    pub(super) fn trust(&self, settings: &Settings) -> Result<Option<Trust>, TrustError> {
        let last = self.0.load_full();
        last.map(|last| last.trust(settings)).transpose()
    }
}

/// By name, one of each: what an agent sends has no order (a map of protobuf), and the digest has one.
fn in_order(federated: &[Result<Bundle, String>]) -> impl Iterator<Item = &Result<Bundle, String>> {
    let name = |bundle: &Result<Bundle, String>| match bundle {
        Ok(bundle) => bundle.domain.clone(),
        Err(domain) => domain.clone(),
    };
    let named = federated.iter().map(|bundle| (name(bundle), bundle));
    named.collect::<BTreeMap<_, _>>().into_values()
}

impl Trust {
    /// The bundles of an agent: each domain's CAs verify clients of that domain only. A CA that cannot be used is left
    /// out with a warning while its bundle has another; so is a federated bundle without one, or one that names the own
    /// domain. A revocation list that cannot be used is an error, because it would be missed.
    fn from_bundles(
        settings: &Settings,
        own: &Bundle,
        federated: &[Result<Bundle, String>],
        lists: &[Vec<u8>],
    ) -> Result<Self, TrustError> {
        let now = unix_seconds(SystemTime::now());
        let mut lists = Lists::of_agent(lists).map_err(TrustError::AgentList)?;
        let certifies = Certifies::Clients(settings.profile);
        let verifies = settings.verifies();
        let mut warnings = Vec::new();
        let mut parse = |bundle: &Bundle| {
            let parsed = cas::parse_usable(&settings.ca, &bundle.pem, now, certifies, verifies);
            let (parsed, left_out) = parsed?;
            let domain = &bundle.domain;
            warnings.extend(left_out.iter().map(|problem| {
                format!("a CA of the bundle of `{domain}` not used, the others are: {problem}")
            }));
            Ok::<_, CaError>(parsed)
        };
        let mut domains = vec![(own, parse(own)?)];
        let mut not_used = Vec::new();
        for bundle in in_order(federated) {
            let (domain, parsed) = match bundle {
                Err(domain) => (domain, Err("it cannot be read".to_owned())),
                Ok(bundle) if bundle.domain == own.domain => {
                    let ours = "it names the own trust domain, for which only its own CAs count";
                    (&bundle.domain, Err(ours.to_owned()))
                }
                Ok(bundle) => {
                    let parsed = parse(bundle).map_err(|error| error.to_string());
                    (&bundle.domain, parsed.map(|parsed| (bundle, parsed)))
                }
            };
            match parsed {
                Ok(domain) => domains.push(domain),
                Err(problem) => not_used.push(format!(
                    "federated bundle of `{domain}` not used: {problem}"
                )),
            }
        }
        warnings.append(&mut not_used);
        let rules = rules(settings);
        let of_domains = domains.iter().map(|(bundle, _)| bundle);
        let of_domains = of_domains.flat_map(|of| [of.domain.as_bytes(), of.pem.as_slice()]);
        let of_lists = lists.ders().flat_map(|list| [b"list".as_slice(), list]);
        let of_rules = rules.iter().map(String::as_bytes);
        let digest = digest_of(of_rules.chain(of_domains).chain(of_lists));
        let signers: Vec<_> = domains
            .iter()
            .map(|(_, parsed)| parsed.signers.as_slice())
            .collect();
        let of_domains = lists.distribute(&signers).map_err(TrustError::AgentList)?;
        let standing = lists.standing(now);
        warnings.extend(standing.warnings);
        let (mut keys, mut verifiers) = (Vec::new(), Vec::new());
        for ((bundle, parsed), lists) in domains.into_iter().zip(of_domains) {
            warnings.extend(parsed.warnings.iter().cloned());
            keys.extend(parsed.keys.iter().cloned());
            verifiers.push((bundle.domain.clone(), of_domain(settings, parsed, lists)?));
        }
        let mut verifiers = verifiers.into_iter();
        // The own domain comes first.
        let Some(own) = verifiers.next() else {
            return Ok(Self::nobody(settings));
        };
        Ok(Self {
            chains: Arc::new(Chosen(Domains::new(own, verifiers.collect()))),
            rules: settings.rules.clone(),
            digest,
            warnings,
            ca_keys: keys,
            list_validity: standing.first_end,
            read_at: now,
        })
    }
}

/// The verifier of one domain: CAs with lists of their own apart from each other and from the rest.
fn of_domain(
    settings: &Settings,
    parsed: ParsedCas,
    lists: OfDomain,
) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let mut rest = RootCertStore::empty();
    let mut verifiers = Vec::new();
    let with = |roots, own| {
        let lists = Listed {
            own,
            others: lists.others.clone(),
            rest: Vec::new(),
        };
        listed(settings, roots, lists, Unlisted::Accepted)
    };
    for (root, own) in parsed.roots.roots.into_iter().zip(lists.by_signer) {
        if own.is_empty() {
            rest.roots.push(root);
            continue;
        }
        verifiers.push(with(RootCertStore { roots: vec![root] }, own)?);
    }
    if !rest.is_empty() {
        verifiers.push(with(rest, Vec::new())?);
    }
    AnyOf::over(settings, verifiers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;
    use crate::tls::identity::Rules;
    use crate::tls::policy::Profile;
    use crate::tls::trust::{ClientAuth, Signatures};

    fn ca() -> String {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    fn bundle(domain: &str, pem: &str) -> Bundle {
        Bundle {
            domain: domain.to_owned(),
            pem: pem.as_bytes().to_vec().into(),
        }
    }

    /// The digest decides which tickets count, and an agent sends the same bundles in any order.
    #[test]
    fn the_order_of_federated_bundles_makes_no_other_digest() {
        let settings = Settings {
            mode: ClientAuth::Required,
            ca: "agent".into(),
            crl: None,
            rules: Rules::default(),
            signatures: Signatures::default(),
            profile: Profile::Off,
        };
        let [own, one, two] = [(); 3].map(|()| ca());
        let own = bundle("example.org", &own);
        let digest = |federated: &[(&str, &str)]| {
            let federated = federated.iter();
            let federated = federated.map(|(domain, pem)| Ok(bundle(domain, pem)));
            let federated: Vec<_> = federated.collect();
            let trust = Trust::from_bundles(&settings, &own, &federated, &[]).unwrap();
            assert_eq!(trust.ca_keys.len(), 3);
            trust.digest
        };
        let first = digest(&[("a.org", &one), ("b.org", &two)]);
        assert_eq!(first, digest(&[("b.org", &two), ("a.org", &one)]));
        let twice = [("b.org", &*two), ("a.org", &one), ("b.org", &two)];
        assert_eq!(first, digest(&twice));
        assert_ne!(first, digest(&[("a.org", &two), ("b.org", &one)]));
    }
}
