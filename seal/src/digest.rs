//! SHA-256 of a file as a whole or of its shards, while it streams by.

use aws_lc_rs::digest::{Context, SHA256, digest};

/// A SHA-256.
pub type Sha256 = [u8; 32];

/// How a model is cut into what is hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Each file whole.
    Files,
    /// Each file in shards of so many bytes.
    Shards(u64),
}

/// The digest of one piece: of a file or of the bytes `from` up to `to`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Piece {
    /// `None`: the file.
    pub range: Option<(u64, u64)>,
    /// Of the bytes.
    pub digest: Sha256,
}

/// What has been seen of one file.
pub struct FileDigest {
    method: Method,
    context: Context,
    from: u64,
    at: u64,
    pieces: Vec<Piece>,
}

impl FileDigest {
    /// Of a file that begins now.
    pub fn new(method: Method) -> Self {
        Self {
            method,
            context: Context::new(&SHA256),
            from: 0,
            at: 0,
            pieces: Vec::new(),
        }
    }

    /// Its next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let Method::Shards(size) = self.method else {
            self.at += bytes.len() as u64;
            return self.context.update(bytes);
        };
        while !bytes.is_empty() {
            let left = usize::try_from(self.from + size - self.at).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(left.min(bytes.len()));
            self.context.update(now);
            self.at += now.len() as u64;
            bytes = rest;
            if self.at == self.from + size {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let context = std::mem::replace(&mut self.context, Context::new(&SHA256));
        self.pieces.push(Piece {
            range: Some((self.from, self.at)),
            digest: array(context.finish().as_ref()),
        });
        self.from = self.at;
    }

    /// The pieces. An empty file has no shard.
    pub fn finish(mut self) -> Vec<Piece> {
        if self.method == Method::Files {
            let digest = array(self.context.finish().as_ref());
            return vec![Piece {
                range: None,
                digest,
            }];
        }
        if self.at > self.from {
            self.close();
        }
        self.pieces
    }
}

/// Of bytes at hand.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    array(digest(&SHA256, bytes).as_ref())
}

fn array(bytes: &[u8]) -> Sha256 {
    let mut array = [0; 32];
    array.copy_from_slice(bytes);
    array
}

/// In hexadecimal.
pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// From hexadecimal.
pub fn from_hex(text: &str) -> Option<Sha256> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *place = u8::from_str_radix(pair, 16)
            .ok()
            .filter(|_| !pair.contains('+'))?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_the_same_however_the_bytes_arrive() {
        let bytes: Vec<u8> = (0..100).collect();
        for step in [1, 7, 10, 100] {
            let mut digest = FileDigest::new(Method::Shards(30));
            bytes.chunks(step).for_each(|bytes| digest.update(bytes));
            let pieces = digest.finish();
            let ranges: Vec<_> = pieces.iter().filter_map(|piece| piece.range).collect();
            assert_eq!(ranges, [(0, 30), (30, 60), (60, 90), (90, 100)]);
            assert_eq!(pieces[1].digest, sha256(&bytes[30..60]));
        }
        let mut exact = FileDigest::new(Method::Shards(50));
        exact.update(&bytes);
        assert_eq!(exact.finish().len(), 2);
        assert!(FileDigest::new(Method::Shards(50)).finish().is_empty());
    }

    #[test]
    fn hexadecimal_is_read_strictly() {
        let digest = sha256(b"");
        assert_eq!(from_hex(&hex(&digest)), Some(digest));
        assert_eq!(from_hex(&"+1".repeat(32)), None);
        assert_eq!(from_hex("00"), None);
    }
}
