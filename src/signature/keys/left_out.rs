//! Keys of a set that do not count: nobody's here, not for signatures, or of a kind that is not known. They are of
//! another reader of the same set (RFC 7517 section 5).

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
            let kid = (!kid.is_empty()).then(|| Shown::from(kid).to_string());
            let kty = (!kty.is_empty()).then(|| format!("kty {}", Shown::from(kty)));
            let known: Vec<_> = kid.into_iter().chain(kty).collect();
            let known = if known.is_empty() {
                "no kid and no kty".to_owned()
            } else {
                known.join(", ")
            };
            self.named.push(format!("key {number} ({known})"));
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
        write!(
            f,
            "; left out, because they have no principal, are not for signatures (use) or their kind is not known: {named}"
        )?;
        if more > 0 {
            write!(f, " and {more} more")?;
        }
        write!(
            f,
            "; known are OKP with Ed25519, EC with P-256 and AKP with ML-DSA-44, ML-DSA-65 or ML-DSA-87"
        )
    }
}
