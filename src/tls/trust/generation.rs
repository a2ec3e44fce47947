//! One generation of CAs and rules, made from the text of a file.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::TrustAnchor;
use rustls::server::danger::ClientCertVerifier;

use super::any_of::AnyOf;
use super::chains::{Listed, Unlisted, chains, listed};
use super::error::TrustError;
use super::lists::OfDomain;
use super::nobody::Nobody;
use super::revocation;
use super::settings::Settings;
use crate::redact::Shown;
use crate::tls::cas::{self, Certifies, ParsedCas};
use crate::tls::credentials::{Role, hex, read_trusted, unix_seconds};
use crate::tls::digest::digest_of;
use crate::tls::identity::{PeerIdentity, Rules};
use zeroize::Zeroizing;

/// The texts that a generation is made from.
pub(super) struct Texts {
    ca: Zeroizing<Vec<u8>>,
    crl: Option<Zeroizing<Vec<u8>>>,
}

impl Texts {
    pub(super) fn read(settings: &Settings) -> Result<Self, TrustError> {
        let ca = read_trusted(Role::Certificate, &settings.ca);
        let crl = settings
            .crl
            .as_deref()
            .map(|path| read_trusted(Role::RevocationList, path));
        Ok(Self {
            ca: ca.map_err(|cause| TrustError::File(Box::new(cause)))?,
            crl: crl
                .transpose()
                .map_err(|cause| TrustError::CrlFile(Box::new(cause)))?,
        })
    }
}

/// The digest of no text.
const NOBODY: [u8; 32] = [0; 32];

/// CAs, revocation lists and rules, ready to verify clients.
#[derive(Debug)]
pub struct Trust {
    pub(super) chains: Arc<dyn ClientCertVerifier>,
    pub(super) rules: Rules,
    pub(super) digest: [u8; 32],
    pub(super) warnings: Vec<String>,
    pub(super) ca_keys: Vec<String>,
    /// Of the revocation list that has to be replaced first.
    pub(super) list_validity: Option<(i64, i64)>,
    /// Unix seconds: by that time warnings were made.
    pub(super) read_at: i64,
}

impl Trust {
    pub(super) fn from_texts(settings: &Settings, texts: &Texts) -> Result<Self, TrustError> {
        let now = unix_seconds(SystemTime::now());
        let mut parsed = cas::parse(
            &settings.ca,
            &texts.ca,
            now,
            Certifies::Clients(settings.profile),
            settings.verifies(),
        )?;
        let (mut warnings, keys) = (
            std::mem::take(&mut parsed.warnings),
            std::mem::take(&mut parsed.keys),
        );
        let mut list_validity = None;
        let chains = match (&settings.crl, &texts.crl) {
            (Some(path), Some(text)) => {
                let mut lists = revocation::parse(path, text)?;
                let of_signers = lists.of_signers(&parsed.signers);
                let standing = lists.standing(now);
                warnings.extend(standing.warnings);
                list_validity = standing.first_end;
                warnings.extend(without_list(path, &parsed, &of_signers));
                of_file(settings, parsed, &of_signers)?
            }
            _ => chains(settings, parsed.roots, Vec::new(), Unlisted::Refused)?,
        };
        Ok(Self {
            chains,
            rules: settings.rules.clone(),
            digest: digest(settings, texts),
            warnings,
            ca_keys: keys,
            list_validity,
            read_at: now,
        })
    }

    /// Trusts nobody, for a listener whose files are waited for.
    pub(super) fn nobody(settings: &Settings) -> Self {
        Self {
            chains: Arc::new(Nobody::new(settings.mode)),
            rules: Rules::default(),
            digest: NOBODY,
            warnings: Vec::new(),
            ca_keys: Vec::new(),
            list_validity: None,
            read_at: 0,
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
        self.list_validity.map(|(_, next_update)| next_update)
    }

    /// What can be used and still surprises.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The algorithms of the CAs' keys, in the order of the file.
    pub fn ca_keys(&self) -> &[String] {
        &self.ca_keys
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
        self.next_update().is_none_or(counts) && self.rules.allow(peer)
    }
}

/// The CAs that have no list, whose clients are refused all.
fn without_list(path: &Path, parsed: &ParsedCas, lists: &OfDomain) -> Vec<String> {
    let signers = parsed.signers.iter().zip(&lists.by_signer);
    let without = signers.filter(|(_, lists)| lists.is_empty());
    without
        .map(|(signer, _)| {
            let name = &signer.text;
            format!("client-crl: {}: no revocation list there counts for `{name}` of client-ca: every client that it certified is refused; add its list", Shown::path(path))
        })
        .collect()
}

/// CAs of different names, which can share a verifier.
struct Apart {
    names: Vec<Vec<u8>>,
    roots: Vec<TrustAnchor<'static>>,
    /// Where they stand in the file.
    places: Vec<usize>,
}

/// CAs of one name, as the old and the new one of a renewal, stand in verifiers apart: the library looks for a list
/// by the name of its issuer. A verifier gets the lists of its own CAs first; it knows all others too, so that it
/// refuses the clients of a CA without a list.
fn of_file(
    settings: &Settings,
    parsed: ParsedCas,
    lists: &OfDomain,
) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let mut groups: Vec<Apart> = Vec::new();
    let roots = parsed.roots.roots.into_iter().zip(parsed.signers);
    for (place, (root, signer)) in roots.enumerate() {
        let mut known = groups.iter_mut();
        if let Some(group) = known.find(|group| !group.names.contains(&signer.name)) {
            group.names.push(signer.name);
            group.roots.push(root);
            group.places.push(place);
        } else {
            groups.push(Apart {
                names: vec![signer.name],
                roots: vec![root],
                places: vec![place],
            });
        }
    }
    let mut verifiers = Vec::with_capacity(groups.len());
    for Apart { roots, places, .. } in groups {
        let of = |own: bool| {
            let lists = lists.by_signer.iter().enumerate();
            let lists = lists.filter(|(place, _)| places.contains(place) == own);
            lists.flat_map(|(_, lists)| lists).cloned().collect()
        };
        let lists = Listed {
            own: of(true),
            others: lists.others.clone(),
            rest: of(false),
        };
        let roots = RootCertStore { roots };
        verifiers.push(listed(settings, roots, lists, Unlisted::Refused)?);
    }
    AnyOf::over(settings, verifiers)
}

fn digest(settings: &Settings, texts: &Texts) -> [u8; 32] {
    let crl = texts.crl.as_deref().map_or(&[][..], Vec::as_slice);
    let rules = rules(settings);
    digest_of(
        rules
            .iter()
            .map(String::as_bytes)
            .chain([&texts.ca[..], crl]),
    )
}

/// What is written down, before what is read from files or an agent.
pub(super) fn rules(settings: &Settings) -> [String; 4] {
    let mode: &str = settings.mode.into();
    let rules = format!("{:?}", settings.rules);
    let signatures: &str = settings.signatures.into();
    let profile = settings.profile.name();
    [
        mode.to_owned(),
        rules,
        signatures.to_owned(),
        profile.to_owned(),
    ]
}
