//! The keys of one scope: a listener, its mode, its CAs, revocation lists and rules. Another scope has
//! other keys, so what a ticket of one says is unknown to the other.
//!
//! A ticket is `name 16 | nonce 12 | AES-256-GCM-SIV(text)`. The SIV mode (RFC 8452) bears random nonces
//! of many replicas under one key, where GCM would need a new key after 2^32 tickets.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::key_set::{KeySet, Secret};

const NAME: usize = 16;
const KEY: usize = 32;

/// What a ticket belongs to.
pub(super) struct Scope<'a> {
    pub(super) listener: &'a str,
    /// SHA-256 of mode, CAs, revocation lists and rules; `None` if clients are not asked.
    pub(super) trust: Option<&'a [u8; 32]>,
}

impl Scope<'_> {
    /// Derives the keys of this scope.
    pub(super) fn keys(&self, set: &KeySet) -> Option<ScopedKeys> {
        let mut keys = set.all().map(|secret| self.key(secret));
        Some(ScopedKeys {
            sealing: keys.next()??,
            others: keys.collect::<Option<_>>()?,
        })
    }

    fn key(&self, secret: &Secret) -> Option<TicketKey> {
        let length = u32::try_from(self.listener.len()).ok()?.to_be_bytes();
        let (mode, digest): (&[u8], &[u8]) = match self.trust {
            None => (b"off", &[]),
            Some(digest) => (b"ask", digest),
        };
        let purpose = [
            b"ticket",
            mode,
            &length[..],
            self.listener.as_bytes(),
            digest,
        ];
        let mut derived = Zeroizing::new([0; NAME + KEY]);
        secret.derive(&purpose, &mut derived[..])?;
        let (name, key) = derived.split_at(NAME);
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).ok()?;
        Some(TicketKey {
            name: name.try_into().ok()?,
            key: LessSafeKey::new(key),
        })
    }
}

/// The first seals, all open.
pub(super) struct ScopedKeys {
    sealing: TicketKey,
    others: Vec<TicketKey>,
}

impl ScopedKeys {
    pub(super) fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.sealing.seal(text)
    }

    pub(super) fn open(&self, ticket: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut all = std::iter::once(&self.sealing).chain(&self.others);
        all.find(|key| ticket.starts_with(&key.name))?.open(ticket)
    }
}

struct TicketKey {
    name: [u8; NAME],
    key: LessSafeKey,
}

impl TicketKey {
    fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let tag_length = AES_256_GCM_SIV.tag_len();
        let mut ticket = Vec::with_capacity(NAME + NONCE_LEN + text.len() + tag_length);
        ticket.extend_from_slice(&self.name);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = ticket.get_mut(NAME + NONCE_LEN..)?;
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(&self.name), sealed);
        ticket.extend_from_slice(tag.ok()?.as_ref());
        Some(ticket)
    }

    fn open(&self, ticket: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = ticket.get(NAME..)?.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(&self.name), &mut text);
        let length = opened.ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(bytes: &[u8]) -> KeySet {
        let mut secrets = bytes.iter().map(|byte| Secret::new(&[*byte; 32]).unwrap());
        KeySet {
            active: secrets.next().unwrap(),
            others: secrets.collect(),
        }
    }

    fn keys(listener: &str, trust: Option<&[u8; 32]>, secrets: &[u8]) -> ScopedKeys {
        Scope { listener, trust }.keys(&set(secrets)).unwrap()
    }

    #[test]
    fn a_ticket_opens_in_its_own_scope_alone() {
        let (ours, theirs) = ([1; 32], [2; 32]);
        let ticket = keys("a", Some(&ours), &[7]).seal(b"text").unwrap();
        assert_eq!(ticket.len(), 16 + 12 + 4 + 16);
        let open = |listener: &str, trust, secrets: &[u8]| {
            let opened = keys(listener, trust, secrets).open(&ticket);
            opened.map(|text| text.to_vec())
        };
        assert_eq!(open("a", Some(&ours), &[7]).unwrap(), b"text");
        assert_eq!(open("a", Some(&ours), &[8, 7]).unwrap(), b"text");
        assert_eq!(open("a", Some(&ours), &[8]), None);
        assert_eq!(open("b", Some(&ours), &[7]), None);
        assert_eq!(open("a", Some(&theirs), &[7]), None);
        assert_eq!(open("a", None, &[7]), None);
    }

    #[test]
    fn a_changed_ticket_does_not_open() {
        let keys = keys("a", None, &[7]);
        let ticket = keys.seal(b"text").unwrap();
        assert_ne!(ticket, keys.seal(b"text").unwrap());
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert!(keys.open(&changed).is_none(), "{at}");
            assert!(keys.open(&ticket[..at]).is_none(), "{at}");
        }
    }
}
