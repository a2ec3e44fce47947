//! One algorithm: how it is measured, and what is found.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timing::Figure;

/// One algorithm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub name: String,
    pub implementation: String,
    pub keygen: Option<Figure>,
    /// Encapsulation, or the server's side of an agreement: key generation and agreement in one.
    pub encapsulate: Option<Figure>,
    /// Decapsulation, or the client's agreement with a key it has.
    pub decapsulate: Option<Figure>,
    pub sign: Option<Figure>,
    pub verify: Option<Figure>,
    /// Bytes: public key, ciphertext or the server's share, signature.
    pub public_key: usize,
    pub ciphertext: Option<usize>,
    pub signature: Option<usize>,
}

/// An algorithm to be measured.
pub(super) struct Algorithm {
    pub(super) name: &'static str,
    pub(super) measure: Box<dyn Fn(Duration) -> Row>,
}

impl Algorithm {
    pub(super) fn new(name: &'static str, measure: impl Fn(Duration) -> Row + 'static) -> Self {
        Self {
            name,
            measure: Box::new(measure),
        }
    }
}
