//! A certificate with trust settings of OpenSSL behind it: `TRUSTED CERTIFICATE`.

use hybridge_pem::Block;

use super::Certifies;

/// What is said of such a block: it may say for which purposes it is trusted.
pub(super) fn warning(block: &Block, place: &str, certifies: Certifies) -> Option<String> {
    let setting = match certifies {
        Certifies::Clients(_) => "client-ca",
        Certifies::Servers { .. } => "ca",
    };
    block.label.is("TRUSTED CERTIFICATE").then(|| {
        format!(
            "{setting}: {place} has trust settings of OpenSSL, which are not read: it counts whatever they say; write it by `openssl x509 -in FILE`"
        )
    })
}
