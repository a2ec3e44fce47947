//! Algorithms of certificates by their object identifiers, and whether a quantum computer breaks them.

use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Signature algorithms and plain keys.
const KNOWN: [(&str, &str); 19] = [
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.10045.2.1", "EC"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    ("2.16.840.1.101.3.4.3.20", "SLH-DSA-SHA2-128s"),
    ("2.16.840.1.101.3.4.3.22", "SLH-DSA-SHA2-192s"),
    ("2.16.840.1.101.3.4.3.24", "SLH-DSA-SHA2-256s"),
];
const CURVES: [(&str, &str); 3] = [
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
];

/// The name of a signature algorithm, or its identifier.
pub fn signature(oid: &str) -> String {
    named(&KNOWN, oid)
}

/// The name of a key's algorithm with its size or curve.
pub fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    let algorithm = named(&KNOWN, &key.algorithm.algorithm.to_id_string());
    if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        return format!("{algorithm} {}", rsa.key_size());
    }
    let curve = key.algorithm.parameters.as_ref();
    let curve = curve.and_then(|parameters| parameters.as_oid().ok());
    match curve {
        Some(curve) => format!("{algorithm} {}", named(&CURVES, &curve.to_id_string())),
        None => algorithm,
    }
}

/// Whether an algorithm of this name withstands a quantum computer.
pub fn is_post_quantum(name: &str) -> bool {
    name.starts_with("ML-DSA") || name.starts_with("SLH-DSA")
}

fn named(table: &[(&str, &'static str)], oid: &str) -> String {
    let found = table.iter().find(|(known, _)| *known == oid);
    found.map_or_else(|| oid.to_owned(), |(_, name)| (*name).to_owned())
}
