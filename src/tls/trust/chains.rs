//! Who verifies the chain of a client: the library, with CAs and the revocation lists that count for them.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

use super::error::TrustError;
use super::every_list::{EveryList, Sought};
use super::lists::Der;
use super::settings::{ClientAuth, Settings};

/// What becomes of a certificate whose issuer has no revocation list, where others have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unlisted {
    Refused,
    Accepted,
}

/// The lists of a verifier.
pub(super) struct Listed {
    /// Signed by its CAs.
    pub(super) own: Vec<Der>,
    /// Of CAs that only a client sends.
    pub(super) others: Vec<Der>,
    /// Of other CAs of the same names: with nothing before them they refuse.
    pub(super) rest: Vec<Der>,
}

/// A verifier that looks for a certificate in every list of its issuer, where the library does not find them all.
pub(super) fn listed(
    settings: &Settings,
    roots: RootCertStore,
    lists: Listed,
    unlisted: Unlisted,
) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let Listed { own, others, rest } = lists;
    let sought = Sought::among(&own, &others);
    let verifier = chains(settings, roots, [own, others, rest].concat(), unlisted)?;
    Ok(EveryList::over(verifier, sought))
}

pub(super) fn chains(
    settings: &Settings,
    roots: RootCertStore,
    lists: Vec<Der>,
    unlisted: Unlisted,
) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let provider = Arc::new(settings.signatures.provider(settings.profile));
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    if !lists.is_empty() {
        // The whole chain, an issuer without a list refused: both are what webpki does by itself.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
        if unlisted == Unlisted::Accepted {
            builder = builder.allow_unknown_revocation_status();
        }
    }
    if settings.mode != ClientAuth::Required {
        builder = builder.allow_unauthenticated();
    }
    builder
        .build()
        .map_err(|cause| match (cause, &settings.crl) {
            (VerifierBuilderError::InvalidCrl(cause), Some(path)) => TrustError::Crl {
                path: path.as_path().into(),
                cause: format!("a revocation list cannot be used: {cause:?}"),
            },
            (VerifierBuilderError::InvalidCrl(cause), None) => {
                TrustError::AgentList(format!("its revocation list cannot be used: {cause:?}"))
            }
            (cause, _) => TrustError::Unusable {
                path: settings.ca.as_path().into(),
                cause: cause.to_string(),
            },
        })
}
