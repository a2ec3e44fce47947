//! Whether a key made a signature of a certificate or a revocation list, by every algorithm that the library verifies with.
//! It decides what belongs together, not whom to trust.

use rustls::pki_types::SignatureVerificationAlgorithm;
use x509_parser::x509::AlgorithmIdentifier;

use super::policy::of_library;

/// Whether signatures of this algorithm can be verified at all.
pub(super) fn is_verifiable(algorithm: &AlgorithmIdentifier<'_>) -> bool {
    let algorithms = of_library();
    let mut all = algorithms.all.iter();
    all.any(|known| is_of_kind(*known, algorithm))
}

/// An AlgorithmIdentifier begins with the tag and the length of its OID.
fn is_of_kind(
    known: &dyn SignatureVerificationAlgorithm,
    algorithm: &AlgorithmIdentifier<'_>,
) -> bool {
    let (id, oid) = (known.signature_alg_id(), algorithm.algorithm.as_bytes());
    id.as_ref().get(2..).is_some_and(|id| id.starts_with(oid))
}

/// Whether the subject public key `key` signed it.
pub(super) fn is_signed_by(
    key: &[u8],
    algorithm: &AlgorithmIdentifier<'_>,
    signed: &[u8],
    signature: &[u8],
) -> bool {
    let algorithms = of_library();
    let mut candidates = algorithms
        .all
        .iter()
        .filter(|known| is_of_kind(**known, algorithm));
    candidates.any(|algorithm| {
        let verified = algorithm.verify_signature(key, signed, signature);
        verified.is_ok()
    })
}
