//! The payload: a nonce, then chunks of 64 KiB with a tag each. A chunk's own nonce is its number and
//! whether it is the last, so that none can be moved, dropped or appended.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::{Error, FileKey};

/// Bytes of a chunk, as plaintext.
pub const CHUNK: usize = 64 << 10;
/// Bytes of a tag.
pub const TAG: usize = 16;
/// Bytes of a chunk, sealed.
pub const SEALED_CHUNK: usize = CHUNK + TAG;
/// Bytes of the nonce before the first chunk.
pub const NONCE: usize = 16;

/// The key of the chunks.
pub struct PayloadKey {
    key: LessSafeKey,
    /// Where the first chunk begins in the sealed file: for messages.
    start: u64,
}

impl PayloadKey {
    /// Of a file key, the nonce behind the header, and where in the file that nonce ends.
    pub fn new(key: &FileKey, nonce: &[u8; NONCE], start: u64) -> Result<Self, Error> {
        let key = key.derive(nonce, b"payload");
        let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).map_err(|_| Error::Random)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            start,
        })
    }

    /// Appends the sealed chunk.
    pub fn seal(
        &self,
        number: u64,
        last: bool,
        plain: &[u8],
        to: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let from = to.len();
        to.extend_from_slice(plain);
        let added = to.get_mut(from..).unwrap_or_default();
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce(number, last), Aad::empty(), added);
        to.extend_from_slice(sealed.map_err(|_| Error::Random)?.as_ref());
        Ok(())
    }

    /// Writes the plaintext, which is as long as the chunk less its tag.
    pub fn open(&self, number: u64, last: bool, sealed: &[u8], to: &mut [u8]) -> Result<(), Error> {
        let at = self.start + number * SEALED_CHUNK as u64;
        let end = at + sealed.len() as u64;
        let Some((bytes, tag)) = sealed.split_last_chunk::<TAG>() else {
            return Err(Error::Truncated { at: end });
        };
        // An empty chunk is the whole of an empty file or nothing.
        if bytes.is_empty() && number > 0 {
            return Err(Error::Trailing { at });
        }
        let mut open = |last| {
            let nonce = nonce(number, last);
            self.key
                .open_separate_gather(nonce, Aad::empty(), bytes, tag, to)
        };
        if open(last).is_ok() {
            return Ok(());
        }
        // Under the other flag it would be whole: then it stands where it should not.
        Err(match (open(!last).is_ok(), last) {
            (true, true) => Error::Truncated { at: end },
            (true, false) => Error::Trailing { at: end },
            (false, _) => Error::Damaged {
                chunk: number,
                from: at,
                to: end,
            },
        })
    }
}

fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    let counter = number.to_be_bytes();
    for (to, from) in nonce.iter_mut().skip(3).zip(counter) {
        *to = from;
    }
    if let Some(flag) = nonce.last_mut() {
        *flag = u8::from(last);
    }
    Nonce::assume_unique_for_key(nonce)
}

/// Bytes of the plaintext of so many sealed ones. `None`: no payload has that length.
pub fn plain_length(sealed: u64) -> Option<u64> {
    let chunks = sealed.div_ceil(SEALED_CHUNK as u64);
    let last = sealed.checked_sub(chunks.checked_sub(1)? * SEALED_CHUNK as u64)?;
    let has_content = last > TAG as u64 || (last == TAG as u64 && chunks == 1);
    has_content.then(|| sealed - chunks * TAG as u64)
}

/// Bytes of the payload, without its nonce, of so many bytes of plaintext.
pub fn sealed_length(plain: u64) -> u64 {
    plain + plain.div_ceil(CHUNK as u64).max(1) * TAG as u64
}
