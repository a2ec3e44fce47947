//! What a listener is told of its clients' certificates.

use std::path::PathBuf;

use rustls::crypto::WebPkiSupportedAlgorithms;
use strum::{EnumString, IntoStaticStr, VariantNames};

use super::signatures::Signatures;
use crate::tls::identity::Rules;
use crate::tls::policy::Profile;

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ClientAuth {
    /// Never.
    #[default]
    Off,
    /// They may have none; one that they have must be good.
    Optional,
    /// Without one there is no connection.
    Required,
}

/// What a listener is told of its clients' certificates.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Whether a client may have none.
    pub mode: ClientAuth,
    /// PEM bundle of the CAs.
    pub ca: PathBuf,
    /// Revocation lists; with them a chain counts only if each issuer's list says nothing against it.
    pub crl: Option<PathBuf>,
    /// Who may in of those they certify.
    pub rules: Rules,
    /// Which signatures count.
    pub signatures: Signatures,
    /// What their keys are held to.
    pub profile: Profile,
}

impl Settings {
    /// The algorithms of those signatures.
    pub(super) fn verifies(&self) -> WebPkiSupportedAlgorithms {
        let provider = self.signatures.provider(self.profile);
        provider.signature_verification_algorithms
    }
}
