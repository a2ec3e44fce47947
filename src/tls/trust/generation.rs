//! One generation of CAs and rules, made from the text of a file.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

use super::error::TrustError;
use super::nobody::Nobody;
use super::revocation::Revocation;
use super::settings::{ClientAuth, Settings};
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
        let ParsedCas {
            roots,
            mut warnings,
            keys,
            ..
        } = cas::parse(
            &settings.ca,
            &texts.ca,
            now,
            Certifies::Clients(settings.profile),
        )?;
        let revocation = match (&settings.crl, &texts.crl) {
            (Some(path), Some(text)) => Some(Revocation::parse(path, text, now)?),
            _ => None,
        };
        let list_validity = revocation
            .as_ref()
            .and_then(|revocation| revocation.first_end);
        let lists = revocation.map(|revocation| {
            warnings.extend(revocation.warnings);
            revocation.lists
        });
        Ok(Self {
            chains: chains(
                settings,
                roots,
                lists.unwrap_or_default(),
                Unlisted::Refused,
            )?,
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

/// What becomes of a certificate whose issuer has no revocation list, where others have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unlisted {
    Refused,
    Accepted,
}

pub(super) fn chains(
    settings: &Settings,
    roots: RootCertStore,
    lists: Vec<CertificateRevocationListDer<'static>>,
    unlisted: Unlisted,
) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let provider = Arc::new(settings.signatures.provider(settings.profile));
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !lists.is_empty() {
        // The whole chain, an issuer without a list refused: both are what webpki does by itself.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
        if unlisted == Unlisted::Accepted {
            builder = builder.allow_unknown_revocation_status();
        }
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
            (VerifierBuilderError::InvalidCrl(cause), None) => {
                TrustError::AgentList(format!("its revocation list cannot be used: {cause:?}"))
            }
            (cause, _) => TrustError::Unusable {
                path: settings.ca.as_path().into(),
                cause: cause.to_string(),
            },
        })
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
