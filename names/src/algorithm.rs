//! How algorithms of certificates are called, by their object identifiers (RFC 3279, RFC 5480, RFC 8410, RFC 9881,
//! RFC 9909): one set of names for logs, reports and bills of materials.

use x509_parser::der_parser::asn1_rs::Tag;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

const RSA: &str = "1.2.840.113549.1.1.1";
const ELLIPTIC_CURVE: &str = "1.2.840.10045.2.1";

/// Signatures, and keys whose algorithm has one identifier.
const KNOWN: [(&str, &str); 26] = [
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
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
    ("2.16.840.1.101.3.4.3.21", "SLH-DSA-SHA2-128f"),
    ("2.16.840.1.101.3.4.3.22", "SLH-DSA-SHA2-192s"),
    ("2.16.840.1.101.3.4.3.23", "SLH-DSA-SHA2-192f"),
    ("2.16.840.1.101.3.4.3.24", "SLH-DSA-SHA2-256s"),
    ("2.16.840.1.101.3.4.3.25", "SLH-DSA-SHA2-256f"),
    ("2.16.840.1.101.3.4.3.26", "SLH-DSA-SHAKE-128s"),
    ("2.16.840.1.101.3.4.3.27", "SLH-DSA-SHAKE-128f"),
    ("2.16.840.1.101.3.4.3.28", "SLH-DSA-SHAKE-192s"),
    ("2.16.840.1.101.3.4.3.29", "SLH-DSA-SHAKE-192f"),
    ("2.16.840.1.101.3.4.3.30", "SLH-DSA-SHAKE-256s"),
    ("2.16.840.1.101.3.4.3.31", "SLH-DSA-SHAKE-256f"),
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

/// The name of a key's algorithm with its size or curve: `RSA-2048`, `ECDSA P-256`; or its identifier.
pub fn key(key: &SubjectPublicKeyInfo<'_>) -> String {
    let oid = key.algorithm.algorithm.to_id_string();
    match (oid.as_str(), key.parsed()) {
        (RSA, Ok(PublicKey::RSA(rsa))) => format!("RSA-{}", rsa.key_size()),
        (RSA, _) => "RSA".to_owned(),
        (ELLIPTIC_CURVE, _) => {
            // Explicit parameters are no name of a curve.
            let parameters = key.algorithm.parameters.as_ref();
            let named_curve = parameters.filter(|parameters| parameters.tag() == Tag::Oid);
            match named_curve.and_then(|curve| curve.as_oid().ok()) {
                Some(curve) => format!("ECDSA {}", named(&CURVES, &curve.to_id_string())),
                None => "ECDSA with explicit parameters".to_owned(),
            }
        }
        _ => named(&KNOWN, &oid),
    }
}

fn named(table: &[(&str, &'static str)], oid: &str) -> String {
    let found = table.iter().find(|(known, _)| *known == oid);
    found.map_or_else(|| oid.to_owned(), |(_, name)| (*name).to_owned())
}
