//! Key algorithms by object identifier: what can be served, and the name people know it by
//! (RFC 3279, RFC 5480, RFC 8410, RFC 9881).

use std::ops::RangeInclusive;

use rustls::crypto::WebPkiSupportedAlgorithms;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, FromDer, Oid, Sequence, Tag};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

const RSA: &str = "1.2.840.113549.1.1.1";
const RSA_NAME: &str = "RSA";
/// Bits of modulus that aws-lc signs with.
const RSA_SIZES: RangeInclusive<usize> = 2048..=8192;
const ELLIPTIC_CURVE: &str = "1.2.840.10045.2.1";

/// Name of each algorithm that has one identifier.
const WHOLE: [(&str, &str); 4] = [
    ("1.3.101.112", "Ed25519"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
];

/// Name by the curve in the parameters of an elliptic-curve key.
const CURVES: [(&str, &str); 3] = [
    ("1.2.840.10045.3.1.7", "ECDSA P-256"),
    ("1.3.132.0.34", "ECDSA P-384"),
    ("1.3.132.0.35", "ECDSA P-521"),
];

/// Signatures with a digest of which collisions are known: who signed one has signed another certificate as well.
const BROKEN: [(&str, &str); 5] = [
    ("1.2.840.113549.1.1.2", "RSA with MD2"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.3.14.3.2.29", "RSA with SHA-1"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
];

/// What a PEM file may bring for an unsupported algorithm.
pub(in crate::tls) const REMEDY: &str =
    "use ECDSA P-256, P-384 or P-521, RSA of 2048 to 8192 bits, Ed25519, or ML-DSA-44, -65 or -87";

/// The label of each algorithm in metrics; the last one stands for any other.
pub const LABELS: [&str; 9] = [
    "ecdsa-p256",
    "ecdsa-p384",
    "ecdsa-p521",
    "ed25519",
    "ml-dsa-44",
    "ml-dsa-65",
    "ml-dsa-87",
    "rsa",
    "other",
];

/// The label of a key's algorithm, one of [`LABELS`].
pub(crate) fn label(key: &SubjectPublicKeyInfo<'_>) -> &'static str {
    let KeyAlgorithm::Supported(name) = KeyAlgorithm::of_public_key(key) else {
        return "other";
    };
    let written = |label: &&str| {
        let bytes = name.bytes().filter(|byte| !matches!(byte, b' ' | b'-'));
        let label = label.bytes().filter(|byte| *byte != b'-');
        label.eq(bytes.map(|byte| byte.to_ascii_lowercase()))
    };
    LABELS.into_iter().find(written).unwrap_or("other")
}

/// The algorithm of a key, as far as its identifier tells.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum KeyAlgorithm {
    Supported(&'static str),
    /// Its object identifier, or curve identifier.
    Unsupported(String),
}

impl KeyAlgorithm {
    fn new(identifier: &AlgorithmIdentifier<'_>) -> Self {
        let oid = identifier.algorithm.to_id_string();
        if oid == RSA {
            return Self::Supported(RSA_NAME);
        }
        if oid != ELLIPTIC_CURVE {
            return Self::find(&WHOLE, oid);
        }
        // Explicit parameters are no name of a curve.
        let named = identifier.parameters.as_ref();
        let named = named.filter(|parameters| parameters.tag() == Tag::Oid);
        let curve = named.and_then(|parameters| parameters.as_oid().ok());
        match curve {
            Some(curve) => Self::find(&CURVES, curve.to_id_string()),
            None => Self::Unsupported(oid),
        }
    }

    fn find(table: &[(&str, &'static str)], oid: String) -> Self {
        match table.iter().find(|(known, _)| *known == oid) {
            Some((_, name)) => Self::Supported(name),
            None => Self::Unsupported(oid),
        }
    }

    /// Of the public key in a certificate.
    pub(super) fn of_public_key(key: &SubjectPublicKeyInfo<'_>) -> Self {
        Self::new(&key.algorithm)
    }

    /// Of a PKCS#8 private key (RFC 5958); `None` if `der` is not one.
    pub(super) fn of_pkcs8(der: &[u8]) -> Option<Self> {
        let (_, outer) = Sequence::from_der(der).ok()?;
        let (rest, _version) = Any::from_der(&outer.content).ok()?;
        let (_, identifier) = AlgorithmIdentifier::from_der(rest).ok()?;
        Some(Self::new(&identifier))
    }

    /// Of a SEC1 private key (RFC 5915): the curve in its `[0]` field.
    pub(super) fn of_sec1(der: &[u8]) -> Option<Self> {
        let (_, outer) = Sequence::from_der(der).ok()?;
        let (rest, _version) = Any::from_der(&outer.content).ok()?;
        let (rest, _private) = Any::from_der(rest).ok()?;
        let (_, parameters) = Any::from_der(rest).ok()?;
        let (_, curve) = Oid::from_der(parameters.data).ok()?;
        Some(Self::find(&CURVES, curve.to_id_string()))
    }
}

/// The size of an RSA key that is too short or too long to be served, in bits.
pub(super) fn unsuitable_rsa_size(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    match (KeyAlgorithm::of_public_key(key), key.parsed()) {
        (KeyAlgorithm::Supported(RSA_NAME), Ok(PublicKey::RSA(rsa))) => {
            Some(rsa.key_size()).filter(|size| !RSA_SIZES.contains(size))
        }
        _ => None,
    }
}

/// Whether signatures of this key can be verified by one of these: webpki compares identifiers with their
/// parameters.
pub(in crate::tls) fn is_verified_by(
    key: &SubjectPublicKeyInfo<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> bool {
    let identifier = || {
        let (_, outer) = Sequence::from_der(key.raw).ok()?;
        let (_, identifier) = Any::from_der(&outer.content).ok()?;
        Some(identifier.data.to_vec())
    };
    let known = identifier().is_some_and(|own| {
        let mut all = algorithms.all.iter();
        all.any(|algorithm| *algorithm.public_key_alg_id() == *own)
    });
    known && unsuitable_rsa_size(key).is_none()
}

/// How a certificate is signed.
pub(super) fn signature(certificate: &X509Certificate<'_>) -> String {
    hybridge_names::algorithm::signature(&certificate.signature_algorithm.algorithm.to_id_string())
}

/// The name of a signature that clients refuse for its digest.
pub(super) fn broken_signature(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let oid = certificate.signature_algorithm.algorithm.to_id_string();
    let mut broken = BROKEN.iter();
    broken
        .find(|(known, _)| *known == oid)
        .map(|(_, name)| *name)
}

/// The name without the size that `hybridge_names::algorithm::key` adds.
pub(super) fn family(described: &str) -> &str {
    match described.split_once('-') {
        Some((RSA_NAME, _size)) => RSA_NAME,
        _ => described,
    }
}
