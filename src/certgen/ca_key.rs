//! The key a CA signs with: just made, or read back from a file. rcgen reads no ML-DSA
//! keys back, so a loaded key signs through rustls, whatever its kind.

use std::sync::Arc;

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm};
use rustls::SignatureScheme;
use rustls::sign::SigningKey;
use x509_parser::certificate::X509Certificate;

/// One of the two.
pub(super) enum CaKey {
    New(KeyPair),
    Loaded(LoadedKey),
}

/// A key that rustls loaded, and how it signs certificates.
pub(super) struct LoadedKey {
    key: Arc<dyn SigningKey>,
    public_key: Vec<u8>,
    scheme: SignatureScheme,
    algorithm: &'static SignatureAlgorithm,
}

impl LoadedKey {
    /// The private key of `cert`; `None` if it cannot sign certificates.
    pub(super) fn new(key: Arc<dyn SigningKey>, cert: &X509Certificate<'_>) -> Option<Self> {
        let usable = |(scheme, _): &(SignatureScheme, _)| key.choose_scheme(&[*scheme]).is_some();
        let (scheme, algorithm) = schemes().into_iter().find(usable)?;
        Some(Self {
            public_key: cert.public_key().subject_public_key.data.to_vec(),
            key,
            scheme,
            algorithm,
        })
    }
}

fn schemes() -> [(SignatureScheme, &'static SignatureAlgorithm); 8] {
    use SignatureScheme as Scheme;
    [
        (
            Scheme::ECDSA_NISTP256_SHA256,
            &rcgen::PKCS_ECDSA_P256_SHA256,
        ),
        (
            Scheme::ECDSA_NISTP384_SHA384,
            &rcgen::PKCS_ECDSA_P384_SHA384,
        ),
        (
            Scheme::ECDSA_NISTP521_SHA512,
            &rcgen::PKCS_ECDSA_P521_SHA512,
        ),
        (Scheme::ED25519, &rcgen::PKCS_ED25519),
        (Scheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
        (Scheme::ML_DSA_44, &rcgen::PKCS_ML_DSA_44),
        (Scheme::ML_DSA_65, &rcgen::PKCS_ML_DSA_65),
        (Scheme::ML_DSA_87, &rcgen::PKCS_ML_DSA_87),
    ]
}

impl PublicKeyData for CaKey {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::New(key) => key.der_bytes(),
            Self::Loaded(key) => &key.public_key,
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::New(key) => key.algorithm(),
            Self::Loaded(key) => key.algorithm,
        }
    }
}

impl rcgen::SigningKey for CaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::New(key) => key.sign(message),
            Self::Loaded(loaded) => loaded
                .key
                .choose_scheme(&[loaded.scheme])
                .and_then(|signer| signer.sign(message).ok())
                .ok_or(rcgen::Error::RemoteKeyError),
        }
    }
}
