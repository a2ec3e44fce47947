//! CRC-32C (Castagnoli; RFC 3720 appendix B.4), for headers of at most a few KiB.

/// A checksum of what was added.
pub(super) struct Crc32c(u32);

const POLYNOMIAL: u32 = 0x82f6_3b78;

impl Default for Crc32c {
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Crc32c {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 ^= u32::from(*byte);
            for _ in 0..8 {
                let carried = self.0 & 1 == 1;
                self.0 >>= 1;
                if carried {
                    self.0 ^= POLYNOMIAL;
                }
            }
        }
    }

    pub(super) fn value(&self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720 appendix B.4.
    #[test]
    fn the_examples_of_the_standard_are_computed() {
        let of = |bytes: &[u8]| {
            let mut sum = Crc32c::default();
            sum.add(bytes);
            sum.value()
        };
        assert_eq!(of(&[0; 32]), 0x8a91_36aa);
        assert_eq!(of(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(of(b"123456789"), 0xe306_9283);
    }
}
