//! The blocks of a certificate file, and a certificate with its place in it.

use hybridge_pem::{Block, Label, Position};
use x509_parser::certificate::X509Certificate;

/// A certificate and where it stands.
pub(super) struct Entry<'a> {
    pub(super) at: Position,
    pub(super) x509: X509Certificate<'a>,
}

/// The labels of `blocks`, for a message.
pub(super) fn labels(blocks: &[Block]) -> String {
    let labels = blocks.iter().map(|block| match block.label {
        Label::Known(label) => label,
        Label::Unknown => "a block of an unknown label",
    });
    labels.collect::<Vec<_>>().join(", ")
}
