//! Record protection: the keys of one direction, and a record sealed or opened where it lies
//! (RFC 8446 §5.2 and §5.3).
//!
//! rustls makes the keys and their successors; what it would do to each record is done here, without
//! its buffers. Nothing here decides what a record means.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::{AlertDescription, ConnectionTrafficSecrets};

use super::policy::record_protection;
use super::record::{APPLICATION_DATA, MAX_CONTENT, MAX_FRAGMENT, RECORD_HEADER};

/// Of each of the three AEADs of TLS 1.3.
const TAG: usize = 16;
/// What sealing adds: header, content type, tag. Nothing is padded.
pub(super) const OVERHEAD: usize = RECORD_HEADER + 1 + TAG;

/// A connection cannot go on for a reason of ours: keys that do not fit, or sequence numbers used up.
#[derive(Debug)]
pub(super) struct KeyError;

/// One direction's key, and how many records it has protected.
pub(super) struct Keys {
    key: LessSafeKey,
    iv: [u8; NONCE_LEN],
    sequence: u64,
}

impl Keys {
    /// Takes over where rustls stands.
    pub(super) fn new(
        (sequence, secrets): (u64, ConnectionTrafficSecrets),
    ) -> Result<Self, KeyError> {
        let (algorithm, key, iv) = record_protection(&secrets).ok_or(KeyError)?;
        let key = UnboundKey::new(algorithm, key).map_err(|_| KeyError)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            iv: iv.try_into().map_err(|_| KeyError)?,
            sequence,
        })
    }

    /// Records protected by this key.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The nonce of the next record: no sequence number is ever used twice.
    fn nonce(&mut self) -> Result<Nonce, KeyError> {
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE_LEN - 8..]
            .iter_mut()
            .zip(self.sequence.to_be_bytes())
        {
            *byte ^= number;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(KeyError)?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// Seals a record whose content is between the room for its header and the room for
    /// the rest of [`OVERHEAD`].
    pub(super) fn seal(&mut self, content_type: u8, record: &mut [u8]) -> Result<(), KeyError> {
        let nonce = self.nonce()?;
        let (header, rest) = begin(record)?;
        let inner = rest.len().checked_sub(TAG).ok_or(KeyError)?;
        let (inner, tag) = rest.split_at_mut(inner);
        *inner.last_mut().ok_or(KeyError)? = content_type;
        self.key
            .seal_in_place_scatter(nonce, Aad::from(&*header), inner, &[], tag)
            .map_err(|_| KeyError)
    }

    /// Seals `content` into `record`, which has room for it and [`OVERHEAD`], without moving it there
    /// first.
    pub(super) fn seal_from(
        &mut self,
        content_type: u8,
        content: &[u8],
        record: &mut [u8],
    ) -> Result<(), KeyError> {
        let nonce = self.nonce()?;
        let (header, rest) = begin(record)?;
        let (sealed, tail) = rest.split_at_mut_checked(content.len()).ok_or(KeyError)?;
        self.key
            .seal_out_of_place_scatter(
                nonce,
                Aad::from(&*header),
                content,
                sealed,
                &[content_type],
                tail,
            )
            .map_err(|_| KeyError)
    }

    /// Opens a whole record: its content type and content, or the alert that it deserves.
    pub(super) fn open<'a>(
        &mut self,
        record: &'a mut [u8],
    ) -> Result<(u8, &'a mut [u8]), AlertDescription> {
        let (header, fragment) = record
            .split_at_mut_checked(RECORD_HEADER)
            .ok_or(AlertDescription::DecodeError)?;
        if header[0] != APPLICATION_DATA {
            return Err(AlertDescription::UnexpectedMessage);
        }
        let length = u16::from_be_bytes([header[3], header[4]]);
        if usize::from(length) > MAX_FRAGMENT {
            return Err(AlertDescription::RecordOverflow);
        }
        let nonce = self.nonce().map_err(|_| AlertDescription::InternalError)?;
        let inner = self
            .key
            .open_in_place(nonce, Aad::from(&*header), fragment)
            .map_err(|_| AlertDescription::BadRecordMac)?;
        // Content, type and padding together (RFC 8446 §5.4).
        if inner.len() > MAX_CONTENT + 1 {
            return Err(AlertDescription::RecordOverflow);
        }
        let end = inner.iter().rposition(|byte| *byte != 0);
        let end = end.ok_or(AlertDescription::UnexpectedMessage)?;
        let (content, rest) = inner.split_at_mut(end);
        Ok((rest[0], content))
    }
}

/// Writes the header of a record that will fill `record`; the header and the rest.
fn begin(record: &mut [u8]) -> Result<(&mut [u8], &mut [u8]), KeyError> {
    let (header, rest) = record.split_at_mut_checked(RECORD_HEADER).ok_or(KeyError)?;
    let length = u16::try_from(rest.len())
        .map_err(|_| KeyError)?
        .to_be_bytes();
    header.copy_from_slice(&[APPLICATION_DATA, 3, 3, length[0], length[1]]);
    Ok((header, rest))
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use rustls::crypto::cipher::{AeadKey, Iv};

    use super::*;
    use crate::tls::record::ALERT;

    /// Keys that both sides of a test know.
    pub(in crate::tls) fn secrets(seed: u8) -> ConnectionTrafficSecrets {
        ConnectionTrafficSecrets::Chacha20Poly1305 {
            key: AeadKey::from([seed; 32]),
            iv: Iv::from([seed; NONCE_LEN]),
        }
    }

    pub(in crate::tls) fn sealed(keys: &mut Keys, content_type: u8, content: &[u8]) -> Vec<u8> {
        let mut record = vec![0; content.len() + OVERHEAD];
        record[RECORD_HEADER..][..content.len()].copy_from_slice(content);
        keys.seal(content_type, &mut record).unwrap();
        record
    }

    fn pair() -> (Keys, Keys) {
        let keys = |sequence| Keys::new((sequence, secrets(1))).unwrap();
        (keys(0), keys(0))
    }

    #[test]
    fn what_is_sealed_opens_in_order_and_only_in_order() {
        let (mut ours, mut theirs) = pair();
        let mut first = sealed(&mut ours, APPLICATION_DATA, b"one");
        let mut second = sealed(&mut ours, ALERT, &[1, 0]);
        assert_eq!(
            theirs.open(&mut second.clone()),
            Err(AlertDescription::BadRecordMac)
        );
        let (_, mut theirs) = pair();
        let content: &mut [u8] = &mut b"one".to_owned();
        assert_eq!(theirs.open(&mut first), Ok((APPLICATION_DATA, content)));
        let content: &mut [u8] = &mut [1, 0];
        assert_eq!(theirs.open(&mut second), Ok((ALERT, content)));
    }

    #[test]
    fn both_ways_of_sealing_make_the_same_record() {
        let (mut one, mut other) = pair();
        for content in [&b""[..], b"x", &[7; MAX_CONTENT]] {
            let in_place = sealed(&mut one, APPLICATION_DATA, content);
            let mut from = vec![0; content.len() + OVERHEAD];
            other
                .seal_from(APPLICATION_DATA, content, &mut from)
                .unwrap();
            assert!(in_place == from);
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused() {
        let record = sealed(&mut pair().0, APPLICATION_DATA, b"content");
        for bit in 0..record.len() * 8 {
            let mut changed = record.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(pair().1.open(&mut changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn padding_is_taken_off_and_nothing_but_padding_is_refused() {
        let (mut ours, mut theirs) = pair();
        let mut padded = sealed(&mut ours, 0, b"hello\x17\0\0");
        let content: &mut [u8] = &mut b"hello".to_owned();
        assert_eq!(theirs.open(&mut padded), Ok((APPLICATION_DATA, content)));
        let mut empty = sealed(&mut ours, 0, &[0; 9]);
        assert_eq!(
            theirs.open(&mut empty),
            Err(AlertDescription::UnexpectedMessage)
        );
    }

    #[test]
    fn content_over_the_limit_of_a_record_is_refused() {
        let (mut ours, mut theirs) = pair();
        let mut most = sealed(&mut ours, APPLICATION_DATA, &[7; MAX_CONTENT]);
        assert!(theirs.open(&mut most).is_ok());
        let padded = |padding: usize| {
            let mut inner = vec![7; MAX_CONTENT - 100];
            inner.push(APPLICATION_DATA);
            inner.resize(inner.len() + padding, 0);
            inner
        };
        // The last byte of what is sealed here is the type: one of padding.
        let mut full = sealed(&mut ours, 0, &padded(99));
        assert!(theirs.open(&mut full).is_ok());
        for more in [vec![7; MAX_CONTENT + 1], padded(100), padded(200)] {
            let mut more = sealed(&mut ours, 0, &more);
            assert_eq!(
                theirs.open(&mut more),
                Err(AlertDescription::RecordOverflow)
            );
        }
    }

    #[test]
    fn a_sequence_number_is_never_used_twice() {
        let mut last = Keys::new((u64::MAX, secrets(1))).unwrap();
        assert!(last.seal(ALERT, &mut [0; OVERHEAD]).is_err());
    }
}
