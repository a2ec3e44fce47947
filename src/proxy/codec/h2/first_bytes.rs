//! What a peer began with: it may speak something else than HTTP/2.

use crate::proxy::codec::h1::head_error::TELLING;

/// As many of them as tell.
#[derive(Default)]
pub(super) struct FirstBytes {
    bytes: [u8; TELLING],
    length: usize,
}

impl FirstBytes {
    /// These were read.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if self.length < TELLING {
            self.keep(bytes);
        }
    }

    #[cold]
    fn keep(&mut self, bytes: &[u8]) {
        for (kept, byte) in self.bytes.iter_mut().skip(self.length).zip(bytes) {
            *kept = *byte;
            self.length += 1;
        }
    }

    pub(super) fn known(&self) -> Vec<u8> {
        self.bytes.into_iter().take(self.length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_are_kept_however_they_come() {
        let mut first = FirstBytes::default();
        for (read, known) in [
            (&b""[..], &b""[..]),
            (b"HT", b"HT"),
            (b"TP/1.1 400", b"HTTP/1."),
            (b"x", b"HTTP/1."),
        ] {
            first.read(read);
            assert_eq!(first.known(), known);
        }
    }
}
