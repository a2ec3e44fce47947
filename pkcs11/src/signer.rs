//! The key as rustls sees it.

use std::sync::Arc;

use rustls::sign::{Signer, SigningKey};
use rustls::{OtherError, SignatureAlgorithm, SignatureScheme};

use crate::key::Key;
use crate::mechanism::{Kind, Way};

/// What signs for a certificate, on the thread that asks.
#[derive(Debug)]
struct TokenKey(Arc<Key>);

#[derive(Debug)]
struct TokenSigner {
    key: Arc<Key>,
    way: Way,
}

impl Key {
    /// As rustls wants it. Its signatures block: see the crate.
    pub fn signing_key(self: &Arc<Self>) -> Arc<dyn SigningKey> {
        Arc::new(TokenKey(Arc::clone(self)))
    }
}

impl SigningKey for TokenKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let mut ways = self.0.ways().iter();
        let way = *ways.find(|way| offered.contains(&way.scheme))?;
        let key = Arc::clone(&self.0);
        Some(Box::new(TokenSigner { key, way }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.0.kind() {
            Kind::P256 | Kind::P384 => SignatureAlgorithm::ECDSA,
            Kind::Rsa => SignatureAlgorithm::RSA,
            Kind::Ed25519 => SignatureAlgorithm::ED25519,
            // As rustls says of its own; TLS 1.3 does not ask.
            Kind::MlDsa44 | Kind::MlDsa65 | Kind::MlDsa87 => SignatureAlgorithm::Unknown(0),
        }
    }
}

impl Signer for TokenSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signed = self.key.sign(self.way, message);
        signed.map_err(|error| rustls::Error::Other(OtherError(Arc::new(error))))
    }

    fn scheme(&self) -> SignatureScheme {
        self.way.scheme
    }
}
