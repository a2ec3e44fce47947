//! The blocks of a certificate file, and a certificate with its place in it.

use hybridge_pem::{Block, Label, Position};
use x509_parser::certificate::X509Certificate;

use super::algorithm::{KeyAlgorithm, unsuitable_rsa_size};
use crate::tls::signed_by::{is_signed_by, is_verifiable};

/// A certificate and where it stands.
pub(super) struct Entry<'a> {
    pub(super) at: Position,
    pub(super) x509: X509Certificate<'a>,
}

impl Entry<'_> {
    /// Whether it has the name that the other one's issuer has.
    pub(super) fn has_name_of_issuer(&self, of: &Self) -> bool {
        hybridge_names::same(of.x509.issuer(), self.x509.subject())
    }

    /// Whether it has the name of its own issuer, as a root has.
    pub(super) fn is_self_issued(&self) -> bool {
        self.has_name_of_issuer(self)
    }

    /// Whether it issued the other one: by that name, and by its key if that and the signature are of kinds that can be verified.
    pub(super) fn issued(&self, other: &Self) -> bool {
        if !self.has_name_of_issuer(other) {
            return false;
        }
        let key = self.x509.public_key();
        let is_known = matches!(KeyAlgorithm::of_public_key(key), KeyAlgorithm::Supported(_))
            && unsuitable_rsa_size(key).is_none()
            && is_verifiable(&other.x509.signature_algorithm);
        !is_known
            || is_signed_by(
                &key.subject_public_key.data,
                &other.x509.signature_algorithm,
                other.x509.tbs_certificate.as_ref(),
                &other.x509.signature_value.data,
            )
    }
}

/// The labels of `blocks`, for a message.
pub(super) fn labels(blocks: &[Block]) -> String {
    let labels = blocks.iter().map(|block| match block.label {
        Label::Known(label) => label,
        Label::Unknown => "a block of an unknown label",
    });
    labels.collect::<Vec<_>>().join(", ")
}
