//! What a PEM block says it holds. A label is repeated in messages only if it is one of these: the rest of
//! a `-----BEGIN` line that lost its line break is a key.

use std::fmt;

/// The labels of RFC 7468, of OpenSSL and of OpenSSH that turn up in certificate and key files.
const KNOWN: [&str; 26] = [
    "ANY PRIVATE KEY",
    "ATTRIBUTE CERTIFICATE",
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "CMS",
    "DH PARAMETERS",
    "DSA PARAMETERS",
    "DSA PRIVATE KEY",
    "EC PARAMETERS",
    "EC PRIVATE KEY",
    "ED25519 PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "NEW CERTIFICATE REQUEST",
    "OPENSSH PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK",
    "PKCS7",
    "PRIVATE KEY",
    "PUBLIC KEY",
    "RSA PRIVATE KEY",
    "RSA PUBLIC KEY",
    "SSH2 ENCRYPTED PRIVATE KEY",
    "TRUSTED CERTIFICATE",
    "X.509 CERTIFICATE",
    "X509 CERTIFICATE",
    "X509 CRL",
    "X9.42 DH PARAMETERS",
];

/// The labels of a certificate: that of RFC 7468, its former name, and OpenSSL's with trust settings behind it.
const CERTIFICATES: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// A label that may be shown, or that there is one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Label {
    /// One of the labels that are known.
    Known(&'static str),
    /// Any other.
    Unknown,
}

impl Label {
    pub(crate) fn new(text: &str) -> Self {
        KNOWN
            .into_iter()
            .find(|known| *known == text)
            .map_or(Self::Unknown, Self::Known)
    }

    /// Whether it is this one.
    pub fn is(self, text: &str) -> bool {
        matches!(self, Self::Known(known) if known == text)
    }

    /// Whether a certificate is below it.
    pub fn is_certificate(self) -> bool {
        CERTIFICATES.iter().any(|label| self.is(label))
    }

    /// Whether a private key or the parameters of one are below it.
    pub(crate) fn is_of_key(self) -> bool {
        self.is_private_key() || matches!(self, Self::Known(text) if text.ends_with("PARAMETERS"))
    }

    /// Whether a private key is below it.
    pub fn is_private_key(self) -> bool {
        matches!(self, Self::Known(text) if text.contains("PRIVATE KEY"))
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known(text) => text,
            Self::Unknown => "…",
        })
    }
}
