//! The blocks of a certificate file, and a certificate with its place in it.

use x509_parser::certificate::X509Certificate;

use crate::tls::pem::{Block, Label, Position};

/// The labels of a certificate: that of RFC 7468, its former name, and OpenSSL's with trust settings behind it.
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// A certificate and where it stands.
pub(super) struct Entry<'a> {
    pub(super) at: Position,
    pub(super) x509: X509Certificate<'a>,
}

pub(super) fn is_private_key(block: &Block) -> bool {
    block.label.is_private_key()
}

pub(super) fn is_certificate(block: &Block) -> bool {
    LABELS.iter().any(|label| block.label.is(label))
}

/// The labels of `blocks`, for a message.
pub(super) fn labels(blocks: &[Block]) -> String {
    let labels = blocks.iter().map(|block| match block.label {
        Label::Known(label) => label,
        Label::Unknown => "a block of an unknown label",
    });
    labels.collect::<Vec<_>>().join(", ")
}
