//! One generation of authorities and rules, made from the text of a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::RootCertStore;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

use super::authorities::{self, Authorities};
use super::domains::Domains;
use super::error::TrustError;
use super::nobody::Nobody;
use super::revocation::Revocation;
use super::settings::{ClientAuth, Settings};
use crate::tls::credentials::{Role, hex, read_public, unix_seconds};
use crate::tls::identity::{PeerIdentity, Rules};
use zeroize::Zeroizing;

/// The texts that a generation is made from.
pub(super) struct Texts {
    ca: Zeroizing<Vec<u8>>,
    crl: Option<Zeroizing<Vec<u8>>>,
}

impl Texts {
    pub(super) fn read(settings: &Settings) -> Result<Self, TrustError> {
        let ca = read_public(Role::Certificate, &settings.ca);
        let crl = settings
            .crl
            .as_deref()
            .map(|path| read_public(Role::RevocationList, path));
        Ok(Self {
            ca: ca.map_err(|cause| TrustError::File(Box::new(cause)))?,
            crl: crl
                .transpose()
                .map_err(|cause| TrustError::CrlFile(Box::new(cause)))?,
        })
    }
}

/// The authorities of one trust domain.
pub(crate) struct Bundle {
    pub(crate) domain: String,
    pub(crate) pem: Zeroizing<Vec<u8>>,
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

/// The digest of no text.
const NOBODY: [u8; 32] = [0; 32];

/// Authorities, revocation lists and rules, ready to judge.
#[derive(Debug)]
pub struct Trust {
    pub(super) chains: Arc<dyn ClientCertVerifier>,
    pub(super) rules: Rules,
    digest: [u8; 32],
    warnings: Vec<String>,
    authority_keys: Vec<String>,
    next_update: Option<i64>,
}

impl Trust {
    pub(super) fn from_texts(settings: &Settings, texts: &Texts) -> Result<Self, TrustError> {
        let now = unix_seconds(SystemTime::now());
        let Authorities {
            roots,
            mut warnings,
            keys,
        } = authorities::parse(&settings.ca, &texts.ca, now, settings.profile)?;
        let revocation = match (&settings.crl, &texts.crl) {
            (Some(path), Some(text)) => Some(Revocation::parse(path, text, now)?),
            _ => None,
        };
        let next_update = revocation.as_ref().map(|revocation| revocation.next_update);
        let lists = revocation.map(|revocation| {
            warnings.extend(revocation.warnings);
            revocation.lists
        });
        Ok(Self {
            chains: chains(settings, roots, lists.unwrap_or_default())?,
            rules: settings.rules.clone(),
            digest: digest(settings, texts),
            warnings,
            authority_keys: keys,
            next_update,
        })
    }

    /// The bundles of an agent: each domain's authorities judge that domain alone. A federated bundle that
    /// cannot be used, or that names the own domain, is left out with a warning.
    pub(crate) fn from_bundles(
        settings: &Settings,
        own: &Bundle,
        federated: &[Result<Bundle, String>],
    ) -> Result<Self, TrustError> {
        let now = unix_seconds(SystemTime::now());
        let judge = |bundle: &Bundle| {
            let parsed = authorities::parse(&settings.ca, &bundle.pem, now, settings.profile)?;
            let verifier = chains(settings, parsed.roots, Vec::new())?;
            Ok::<_, TrustError>((verifier, parsed.warnings, parsed.keys))
        };
        let (verifier, mut warnings, mut keys) = judge(own)?;
        let mut by_name = BTreeMap::new();
        let mut context = digest_of_rules(settings);
        add_part(&mut context, own.domain.as_bytes());
        add_part(&mut context, &own.pem);
        for bundle in in_order(federated) {
            let (domain, judged) = match bundle {
                Err(domain) => (domain, Err("it cannot be read".to_owned())),
                Ok(bundle) if bundle.domain == own.domain => {
                    let ours = "it names the own trust domain, whose own authorities alone count";
                    (&bundle.domain, Err(ours.to_owned()))
                }
                Ok(bundle) => {
                    let judged = judge(bundle).map_err(|error| error.to_string());
                    (&bundle.domain, judged.map(|judged| (bundle, judged)))
                }
            };
            match judged {
                Err(problem) => warnings.push(format!(
                    "federated bundle of `{domain}` not used: {problem}"
                )),
                Ok((bundle, (verifier, more, its_keys))) => {
                    warnings.extend(more);
                    keys.extend(its_keys);
                    by_name.insert(domain.clone(), verifier);
                    add_part(&mut context, domain.as_bytes());
                    add_part(&mut context, &bundle.pem);
                }
            }
        }
        Ok(Self {
            chains: Arc::new(Domains::new((own.domain.clone(), verifier), by_name)),
            rules: settings.rules.clone(),
            digest: finished(context),
            warnings,
            authority_keys: keys,
            next_update: None,
        })
    }

    /// Trusts nobody, for a listener whose files are waited for.
    pub(super) fn nobody(settings: &Settings) -> Self {
        Self {
            chains: Arc::new(Nobody::new(settings.mode)),
            rules: Rules::default(),
            digest: NOBODY,
            warnings: Vec::new(),
            authority_keys: Vec::new(),
            next_update: None,
        }
    }

    pub(super) fn is_nobody(&self) -> bool {
        self.digest == NOBODY
    }

    /// Whether it was made from this.
    pub(super) fn is_of(&self, settings: &Settings, texts: &Texts) -> bool {
        self.digest == digest(settings, texts)
    }

    /// When the first revocation list has to be replaced, unix seconds; after that the clients of its
    /// issuer are refused.
    pub fn next_update(&self) -> Option<i64> {
        self.next_update
    }

    /// What can be used and still surprises.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The algorithms of the authorities' keys, in the order of the file.
    pub fn authority_keys(&self) -> &[String] {
        &self.authority_keys
    }

    /// SHA-256 of everything that decides who may in, in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        hex(&self.digest)
    }

    /// The same as bytes.
    pub(crate) fn digest_bytes(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Whether a client that was verified before may resume at `now` (unix seconds) without being verified
    /// again; `None`: one without a certificate.
    pub(crate) fn resumes(&self, peer: Option<&PeerIdentity>, now: u64) -> bool {
        let Some(peer) = peer else {
            return !self.chains.client_auth_mandatory();
        };
        let counts = |next: i64| u64::try_from(next).is_ok_and(|next| now < next);
        self.next_update.is_none_or(counts) && self.rules.allow(peer)
    }
}

fn chains(
    settings: &Settings,
    roots: RootCertStore,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let provider = Arc::new(settings.signatures.provider(settings.profile));
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !lists.is_empty() {
        // The whole chain, an issuer without a list refused: both are what webpki does by itself.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    if settings.mode != ClientAuth::Required {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|cause| match (cause, &settings.crl) {
            (VerifierBuilderError::InvalidCrl(cause), Some(path)) => TrustError::Crl {
                path: path.as_path().into(),
                cause: format!("a revocation list cannot be used: {cause:?}"),
            },
            (cause, _) => TrustError::Unusable {
                path: settings.ca.as_path().into(),
                cause: cause.to_string(),
            },
        })
}

fn digest(settings: &Settings, texts: &Texts) -> [u8; 32] {
    let mut context = digest_of_rules(settings);
    add_part(&mut context, &texts.ca);
    let crl = texts.crl.as_deref().map_or(&[][..], Vec::as_slice);
    add_part(&mut context, crl);
    finished(context)
}

/// What is written down, before what is read from files or an agent.
fn digest_of_rules(settings: &Settings) -> Context {
    let mut context = Context::new(&SHA256);
    let mode: &str = settings.mode.into();
    let rules = format!("{:?}", settings.rules);
    let signatures: &str = settings.signatures.into();
    for part in [mode, &rules, signatures, settings.profile.name()] {
        add_part(&mut context, part.as_bytes());
    }
    context
}

/// With its length, so that no two lists of parts are the same bytes.
fn add_part(context: &mut Context, part: &[u8]) {
    context.update(&part.len().to_be_bytes());
    context.update(part);
}

fn finished(context: Context) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    use super::*;
    use crate::tls::policy::Profile;
    use crate::tls::trust::Signatures;

    fn authority() -> String {
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
        let [own, one, two] = [(); 3].map(|()| authority());
        let own = bundle("example.org", &own);
        let digest = |federated: &[(&str, &str)]| {
            let federated = federated.iter();
            let federated = federated.map(|(domain, pem)| Ok(bundle(domain, pem)));
            let federated: Vec<_> = federated.collect();
            let trust = Trust::from_bundles(&settings, &own, &federated).unwrap();
            assert_eq!(trust.authority_keys.len(), 3);
            trust.digest
        };
        let first = digest(&[("a.org", &one), ("b.org", &two)]);
        assert_eq!(first, digest(&[("b.org", &two), ("a.org", &one)]));
        let twice = [("b.org", &*two), ("a.org", &one), ("b.org", &two)];
        assert_eq!(first, digest(&twice));
        assert_ne!(first, digest(&[("a.org", &two), ("b.org", &one)]));
    }
}
