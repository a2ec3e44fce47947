//! What makes a certificate an X.509-SVID: one URI name that is a SPIFFE ID, and no CA's powers
//! (X509-SVID §2, §4 and §5.2).

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::peer::PeerIdentity;

/// Why a certificate is no SVID of a workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SvidError {
    #[error("it cannot be read")]
    Unreadable,
    #[error("it has no URI name, or several: a SPIFFE ID is exactly one")]
    Uris,
    #[error("its URI name is no SPIFFE ID with a path")]
    Id,
    #[error("it is a CA: it may certify others")]
    Ca,
}

/// The SPIFFE ID of a workload's certificate.
pub fn svid(leaf: &[u8]) -> Result<String, SvidError> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| SvidError::Unreadable)?;
    let peer = PeerIdentity::of(leaf).ok_or(SvidError::Unreadable)?;
    if peer.uris.len() != 1 || peer.uri_left_out {
        return Err(SvidError::Uris);
    }
    let id = peer.spiffe_id().ok_or(SvidError::Id)?;
    let path = id
        .strip_prefix("spiffe://")
        .and_then(|id| id.split_once('/'));
    if path.is_none() {
        return Err(SvidError::Id);
    }
    let constraints = certificate.basic_constraints();
    let constraints = constraints.map_err(|_| SvidError::Unreadable)?;
    let usage = certificate.key_usage().map_err(|_| SvidError::Unreadable)?;
    let certifies =
        usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign());
    if certifies || constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(SvidError::Ca);
    }
    Ok(id.to_owned())
}

/// The trust domain of a SPIFFE ID, or of its own name.
pub fn trust_domain(id: &str) -> &str {
    let rest = id.strip_prefix("spiffe://").unwrap_or(id);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trust_domain_is_what_stands_before_the_path() {
        assert_eq!(trust_domain("spiffe://example.org/ns/ai"), "example.org");
        assert_eq!(trust_domain("spiffe://example.org"), "example.org");
        assert_eq!(trust_domain("example.org"), "example.org");
    }
}
