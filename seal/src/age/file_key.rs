//! The key that a file's payload and header are protected with.

use aws_lc_rs::rand;
use zeroize::Zeroizing;

use super::Error;
use super::hpke::hkdf;

/// The key of one file. Anyone who had it can open the file for ever.
pub struct FileKey(Zeroizing<[u8; 16]>);

impl FileKey {
    /// A new one.
    pub fn generate() -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; 16]);
        rand::fill(key.as_mut()).map_err(|_| Error::Random)?;
        Ok(Self(key))
    }

    /// One that was unwrapped.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; 16]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_ref()
    }

    pub(super) fn derive(&self, salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
        hkdf(salt, self.bytes(), info)
    }
}
