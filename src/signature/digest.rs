//! The digest of a body, announced by `content-digest` (RFC 9530 §2) and computed while it passes.

use aws_lc_rs::digest::{Context, SHA256, SHA512, digest};
use sfv::{Dictionary, ListEntry, Parser};

use super::verdict::Refusal;

/// A body's digest while it passes.
pub(crate) struct BodyDigest {
    running: Context,
    announced: Vec<u8>,
}

impl BodyDigest {
    /// What the field announces: the strongest algorithm that is known here.
    pub(crate) fn announced(field: &str) -> Result<Self, Refusal> {
        let dictionary: Dictionary = Parser::new(field).parse().map_err(|_| Refusal::Malformed)?;
        for (name, algorithm) in [("sha-512", &SHA512), ("sha-256", &SHA256)] {
            let Some(ListEntry::Item(item)) = dictionary.get(name) else {
                continue;
            };
            let announced = item
                .bare_item
                .as_byte_sequence()
                .filter(|announced| announced.len() == algorithm.output_len())
                .ok_or(Refusal::Malformed)?;
            return Ok(Self {
                running: Context::new(algorithm),
                announced: announced.to_vec(),
            });
        }
        Err(Refusal::Digest)
    }

    /// A piece of the body passes.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.running.update(piece);
    }

    /// Whether what passed is what was announced.
    pub(crate) fn matches(self) -> bool {
        self.running.finish().as_ref() == self.announced
    }

    /// Whether the announced body is the empty one.
    pub(super) fn is_of_nothing(&self) -> bool {
        digest(self.running.algorithm(), b"").as_ref() == self.announced
    }
}
