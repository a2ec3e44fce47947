//! A key, the ways it is handed over, and what must not be said of it.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use hybridge::certgen::Algorithm;
use openssl::pkey::PKey;
use tempfile::TempDir;

use super::hexadecimal;
use super::ways::{self, Handed, handed};
use crate::support::pki::{Pair, TestPki};

/// Consecutive characters of a key that must not be seen.
pub(super) const PIECE: usize = 16;

/// A key and the directory it is tried in.
pub(super) struct Trial {
    pub(super) dir: TempDir,
    /// Who issued the certificate.
    pub(super) ca: String,
    pub(super) pair: Pair,
    pub(super) ways: Vec<Handed>,
    /// Every piece of a base64 body of the key in its forms, without line breaks.
    pieces: HashSet<[u8; PIECE]>,
    /// Every piece of the secret number of the key in hexadecimal.
    digits: HashSet<[u8; PIECE]>,
}

/// All that can be read at one place or another. A text is compared by its own pieces: to look for each piece of
/// a key in it takes as many passes as the key has characters.
fn pieces(text: &[u8]) -> impl Iterator<Item = [u8; PIECE]> {
    text.array_windows().copied()
}

impl Trial {
    pub(super) fn new() -> Self {
        let pki = TestPki::new(Algorithm::EcdsaP256);
        let pair = pki.leaf(&["localhost"]);
        let dir = tempfile::tempdir().unwrap();
        pair.write_to(dir.path());
        let key = PKey::private_key_from_pem(pair.key.as_bytes()).unwrap();
        let ways = handed(&pair);
        let encrypted = ways.iter().find(|way| way.name == "encrypted").unwrap();
        let mut bodies = vec![ways::body(&encrypted.text)];
        for pem in ways::forms(&key) {
            bodies.push(ways::body(&pem));
            let base64 = ways::base64(pem.as_bytes());
            bodies.push(ways::base64(base64.as_bytes()));
            bodies.push(base64);
        }
        bodies.push(hexadecimal::jwk_number(&key));
        let bodies = bodies.iter().flat_map(|body| pieces(body.as_bytes()));
        Self {
            dir,
            ca: pki.ca_pem().to_owned(),
            pair,
            ways,
            pieces: bodies.collect(),
            digits: pieces(hexadecimal::scalar(&key).as_bytes()).collect(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn handed(&self) -> &[Handed] {
        &self.ways
    }

    /// A command of the binary whose other settings are good.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hybridge"));
        command
            .args(arguments)
            .env_clear()
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    /// Nothing in `said` is 16 characters of the key, line breaks aside.
    #[track_caller]
    pub(super) fn assert_silent(&self, what: &str, said: &[u8]) {
        let text = String::from_utf8_lossy(said);
        let flat = text.replace("\\n", "");
        let flat: String = flat.chars().filter(|c| !c.is_whitespace()).collect();
        for text in [text.as_ref(), &flat] {
            let leaked = pieces(text.as_bytes()).find(|piece| self.pieces.contains(piece));
            let leaked = leaked.map(|piece| String::from_utf8_lossy(&piece).into_owned());
            assert!(leaked.is_none(), "{what} repeats {leaked:?}: {text}");
        }
        let mut bare = text.to_lowercase();
        for prefix in ["0x", "\\x"] {
            bare = bare.replace(prefix, "");
        }
        bare.retain(|c| c.is_ascii_hexdigit());
        let leaked = pieces(bare.as_bytes()).find(|piece| self.digits.contains(piece));
        let leaked = leaked.map(|piece| String::from_utf8_lossy(&piece).into_owned());
        assert!(leaked.is_none(), "{what} repeats {leaked:?}: {text}");
    }

    #[track_caller]
    pub(super) fn assert_output(&self, what: &str, output: &Output) {
        self.assert_silent(what, &output.stdout);
        self.assert_silent(what, &output.stderr);
    }
}
