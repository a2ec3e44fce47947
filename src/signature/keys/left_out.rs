//! Keys of a set that do not count because their kind is not known: another reader of the same set may know it
//! (RFC 7517 section 5).

use std::fmt;
use std::path::Path;

use crate::redact::Shown;

/// Keys that a message names.
const NAMED: usize = 5;

/// What is known of them for a message.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    named: Vec<String>,
    count: usize,
}

impl LeftOut {
    /// The `number`th key of the set. Nothing else of it is shown.
    pub(super) fn add(&mut self, number: usize, kid: &str, kty: &str) {
        self.count += 1;
        if self.named.len() < NAMED {
            let (kid, kty) = (Shown::from(kid), Shown::from(kty));
            self.named.push(format!("key {number} ({kid}, kty {kty})"));
        }
    }

    /// If there are any.
    pub(super) fn warning(&self, path: &Path) -> Option<String> {
        let path = Shown::path(path);
        (self.count > 0).then(|| format!("signature keys {path}{self}"))
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return Ok(());
        }
        let more = self.count - self.named.len();
        let named = self.named.join(", ");
        write!(f, "; left out, because their kind is not known: {named}")?;
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(
            f,
            "; known are OKP with Ed25519, EC with P-256 and AKP with ML-DSA-44, ML-DSA-65 or ML-DSA-87"
        )
    }
}
