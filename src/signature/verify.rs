//! Verifies the signatures of a request: all of them verify, are of one principal, and belong together.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};

use super::base::signature_base;
use super::digest::BodyDigest;
use super::input::{Signature, signatures};
use super::keys::{Key, KeyError, KeySet};
use super::message::Message;
use super::replay::{ReplayTable, ReplayTables, Seen};
use super::settings::{Settings, SignatureKind, SignatureMode};
use super::verdict::Refusal;
use strum::VariantNames as _;

/// The digest of a body, among the components.
const CONTENT_DIGEST: &str = "content-digest";

/// Verifies the requests of one listener.
pub struct Verifier {
    settings: Settings,
    keys: ArcSwap<KeySet>,
    /// What it has accepted; the other listeners look there too.
    seen: ReplayTable,
    accept: String,
}

/// A request whose head is signed.
pub(crate) struct Verified {
    pub(crate) principal: String,
    /// What its body must come to.
    pub(crate) body: Option<BodyDigest>,
}

impl Verifier {
    /// Reads the keys. What was seen of them before, and is elsewhere, counts here.
    pub fn load(settings: &Settings, replays: &Arc<ReplayTables>) -> Result<Self, KeyError> {
        let keys = KeySet::load(&settings.keys, &settings.require)?;
        Ok(Self::new(settings, keys, replays))
    }

    fn new(settings: &Settings, keys: KeySet, replays: &Arc<ReplayTables>) -> Self {
        Self {
            keys: ArcSwap::from_pointee(keys),
            seen: replays.table(settings),
            accept: accept(settings),
            settings: settings.clone(),
        }
    }

    /// Reads the keys again; whether they are others, which are used from now on.
    pub fn reload(&self) -> Result<bool, KeyError> {
        let read = KeySet::load(&self.settings.keys, &self.settings.require)?;
        if read.is_like(&self.keys.load()) {
            return Ok(false);
        }
        self.keys.store(Arc::new(read));
        Ok(true)
    }

    /// The file of the keys.
    pub fn file(&self) -> &Path {
        &self.settings.keys
    }

    /// The `kid` of each key, in order: the first hundred.
    pub fn key_ids(&self) -> Vec<String> {
        self.keys.load().ids()
    }

    /// About keys of the file that do not count.
    pub fn warnings(&self) -> Vec<String> {
        self.keys.load().warning().cloned().into_iter().collect()
    }

    /// Whether what does not verify is refused.
    pub(crate) fn refuses(&self) -> bool {
        self.settings.mode == SignatureMode::Require
    }

    /// The value of `accept-signature` (RFC 9421 §5.1).
    pub(crate) fn accept(&self) -> &str {
        &self.accept
    }

    /// Every word of a result, for metrics that start at zero.
    pub(crate) fn results() -> impl Iterator<Item = &'static str> {
        std::iter::once("ok").chain(Refusal::VARIANTS.iter().copied())
    }

    /// Verifies a head.
    pub(crate) fn verify(&self, message: &Message<'_>) -> Result<Verified, Refusal> {
        self.verify_at(message, self.seen.now())
    }

    fn verify_at(&self, message: &Message<'_>, now: Duration) -> Result<Verified, Refusal> {
        let signatures = signatures(message)?;
        let keys = self.keys.load();
        let mut signed = Vec::with_capacity(signatures.len());
        for signature in &signatures {
            let key = keys.get(&signature.key_id).ok_or(Refusal::UnknownKey)?;
            self.admit(message, signature, key, now.as_secs().cast_signed())?;
            signed.push((signature, key));
        }
        let principal = self.belong_together(&signed)?;
        let body = body_digest(message)?;
        // The cheaper one first; one of each kind at most, so that a request costs no more.
        signed.sort_by_key(|(_, key)| key.kind == SignatureKind::MlDsa);
        for (signature, key) in &signed {
            let base = signature_base(message, &signature.components, &signature.input)?;
            if !key.verifies(&base, &signature.value) {
                return Err(match key.kind {
                    SignatureKind::Classical => Refusal::ClassicalInvalid,
                    SignatureKind::MlDsa => Refusal::PqInvalid,
                });
            }
        }
        // Last: only who can sign takes room in the table.
        if let Some((signature, _)) = signed.first() {
            let seen = seen(principal, &signature.nonce);
            let share = self.settings.share(keys.principals());
            self.seen.enter((principal, share), seen, now)?;
        }
        Ok(Verified {
            principal: principal.to_owned(),
            body,
        })
    }

    /// What can be said of one signature without computing it.
    fn admit(
        &self,
        message: &Message<'_>,
        signature: &Signature,
        key: &Key,
        now: i64,
    ) -> Result<(), Refusal> {
        let named = signature.algorithm.as_deref();
        if named.is_some_and(|named| named != key.algorithm) {
            return Err(Refusal::WrongAlgorithm);
        }
        let seconds = |duration: Duration| duration.as_secs().cast_signed();
        let oldest = now.saturating_sub(seconds(self.settings.max_age));
        let newest = now.saturating_add(seconds(self.settings.skew));
        let expired = signature.expires.is_some_and(|expires| expires < now);
        if signature.created < oldest || signature.created > newest || expired {
            return Err(Refusal::Stale);
        }
        let covers = |name: &str| signature.components.iter().any(|covered| covered == name);
        let needed = |name: &str| name != CONTENT_DIGEST || message.has_body;
        let announced = message.field(CONTENT_DIGEST)?.is_some();
        let mut cover = self.settings.cover.iter();
        if announced && !covers(CONTENT_DIGEST) || !cover.all(|name| covers(name) || !needed(name))
        {
            return Err(Refusal::NotCovered);
        }
        Ok(())
    }

    /// One of each kind that is required, of one principal, made as one.
    fn belong_together<'k>(&self, signed: &[(&Signature, &'k Key)]) -> Result<&'k str, Refusal> {
        let Some(((first, of_first), others)) = signed.split_first() else {
            return Err(Refusal::Absent);
        };
        let agrees = |(other, key): &(&Signature, &Key)| {
            key.principal == of_first.principal
                && other.nonce == first.nonce
                && other.created == first.created
                && other.tag == first.tag
                && other.components == first.components
        };
        let count = |kind| signed.iter().filter(|(_, key)| key.kind == kind).count();
        let kinds = [SignatureKind::Classical, SignatureKind::MlDsa];
        let complete = kinds.into_iter().all(|kind| {
            let required = self.settings.require.contains(&kind);
            count(kind) == 1 || count(kind) == 0 && !required
        });
        if complete && others.iter().all(agrees) {
            Ok(&of_first.principal)
        } else {
            Err(Refusal::OneOfTwo)
        }
    }
}

/// What the body must come to; one that is not there is checked at once.
fn body_digest(message: &Message<'_>) -> Result<Option<BodyDigest>, Refusal> {
    let Some(field) = message.field(CONTENT_DIGEST)? else {
        return Ok(None);
    };
    let digest = BodyDigest::announced(&field)?;
    match message.has_body {
        true => Ok(Some(digest)),
        false if digest.is_of_nothing() => Ok(None),
        false => Err(Refusal::Digest),
    }
}

fn seen(principal: &str, nonce: &str) -> Seen {
    let mut context = Context::new(&SHA256);
    context.update(&principal.len().to_be_bytes());
    context.update(principal.as_bytes());
    context.update(nonce.as_bytes());
    let mut seen = Seen::default();
    seen.copy_from_slice(&context.finish().as_ref()[..16]);
    seen
}

fn accept(settings: &Settings) -> String {
    let cover = settings.cover.iter().map(|name| format!("\"{name}\""));
    let cover = cover.collect::<Vec<_>>().join(" ");
    let labels = settings.require.iter().map(|kind| {
        let label: &str = kind.into();
        format!("{label}=({cover});created")
    });
    labels.collect::<Vec<_>>().join(", ")
}

#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod tests;
