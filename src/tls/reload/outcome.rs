//! What a look at the files of a store came to, and who hears of it.

use super::failure::ReloadError;
use super::store::CredentialStore;
use crate::tls::credentials::CertificateFacts;

/// Hears of every reload that succeeded or failed; an unchanged pair is neither.
pub trait ReloadObserver: Send + Sync {
    /// A look at the files panicked; the pair in use stays, and the next look is made as usual.
    fn panicked(&self) {}

    fn reloaded(&self, store: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>);
}

/// What one look at the files of a store came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The files hold the pair in use.
    Unchanged,
    /// The files hold the pair in use again, after a failure.
    Restored,
    /// A new pair is in use.
    Reloaded,
    /// The files hold nothing usable: the pair in use stays.
    Failed(ReloadError),
}
