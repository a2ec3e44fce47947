//! The two keys of a signer: ECDSA (P-256, P-384, P-521) and ML-DSA (44, 65, 87). PKCS#8 and SPKI in PEM.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self as lc, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, ParsedPublicKey, PqdsaKeyPair,
    PqdsaSigningAlgorithm, VerificationAlgorithm,
};
use hybridge_pem::{KeyError, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{Error, pem};
use crate::digest::{hex, sha256};

const PUBLIC: &str = "PUBLIC KEY";
const PRIVATE: &str = "PRIVATE KEY";
const ECDSA: [(&EcdsaSigningAlgorithm, &dyn VerificationAlgorithm); 3] = [
    (
        &lc::ECDSA_P256_SHA256_ASN1_SIGNING,
        &lc::ECDSA_P256_SHA256_ASN1,
    ),
    (
        &lc::ECDSA_P384_SHA384_ASN1_SIGNING,
        &lc::ECDSA_P384_SHA384_ASN1,
    ),
    (
        &lc::ECDSA_P521_SHA512_ASN1_SIGNING,
        &lc::ECDSA_P521_SHA512_ASN1,
    ),
];
const ML_DSA: [(&PqdsaSigningAlgorithm, &dyn VerificationAlgorithm); 3] = [
    (&lc::ML_DSA_65_SIGNING, &lc::ML_DSA_65),
    (&lc::ML_DSA_44_SIGNING, &lc::ML_DSA_44),
    (&lc::ML_DSA_87_SIGNING, &lc::ML_DSA_87),
];

/// One of the two kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// What every verifier of model signing knows.
    Ecdsa,
    /// What a quantum computer does not forge.
    MlDsa,
}

impl Kind {
    /// As a message writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "ECDSA",
            Self::MlDsa => "ML-DSA",
        }
    }
}

/// Why no key was read: that there is none, in the words of what is wanted.
fn unreadable(nothing: impl Fn() -> Error) -> impl FnOnce(KeyError) -> Error {
    move |cause| match cause {
        KeyError::Nothing { .. } => nothing(),
        cause => Error::Key(cause.to_string()),
    }
}

/// A private key.
pub enum Signer {
    /// ECDSA.
    Ecdsa(EcdsaKeyPair),
    /// ML-DSA.
    MlDsa(PqdsaKeyPair),
}

impl Signer {
    /// A new one: P-256 or ML-DSA-65.
    pub fn generate(kind: Kind) -> Result<Self, Error> {
        let failed = |_| Error::Key("the system gave no random bytes".to_owned());
        match kind {
            Kind::Ecdsa => {
                EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_ASN1_SIGNING).map(Self::Ecdsa)
            }
            Kind::MlDsa => PqdsaKeyPair::generate(&lc::ML_DSA_65_SIGNING).map(Self::MlDsa),
        }
        .map_err(failed)
    }

    /// From PEM: PKCS#8, or SEC 1 for ECDSA.
    pub fn parse(kind: Kind, text: &(impl AsRef<[u8]> + ?Sized)) -> Result<Self, Error> {
        let wrong = || {
            Error::Key(format!(
                "no {} private key in PEM (PKCS#8, not encrypted)",
                kind.name()
            ))
        };
        let der = hybridge_pem::private_key(text.as_ref()).map_err(unreadable(wrong))?;
        let der = Zeroizing::new(der);
        let found = match (kind, &*der) {
            (Kind::Ecdsa, PrivateKeyDer::Pkcs8(key)) => ECDSA.iter().find_map(|(algorithm, _)| {
                let key = EcdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der());
                key.ok().map(Self::Ecdsa)
            }),
            (Kind::Ecdsa, PrivateKeyDer::Sec1(key)) => ECDSA.iter().find_map(|(algorithm, _)| {
                let key = EcdsaKeyPair::from_private_key_der(algorithm, key.secret_sec1_der());
                key.ok().map(Self::Ecdsa)
            }),
            (Kind::MlDsa, PrivateKeyDer::Pkcs8(key)) => ML_DSA.iter().find_map(|(algorithm, _)| {
                let key = PqdsaKeyPair::from_pkcs8(algorithm, key.secret_pkcs8_der());
                key.ok().map(Self::MlDsa)
            }),
            _ => None,
        };
        found.ok_or_else(wrong)
    }

    /// PKCS#8 in PEM, ML-DSA as its seed.
    pub fn private_pem(&self) -> Result<Zeroizing<String>, Error> {
        let der = match self {
            Self::Ecdsa(key) => key.to_pkcs8v1(),
            Self::MlDsa(key) => key.to_pkcs8v1(),
        };
        let der = der.map_err(|_| Error::Key("the key cannot be written as PKCS#8".to_owned()))?;
        Ok(pem::encode(PRIVATE, der.as_ref()))
    }

    /// SPKI in PEM.
    pub fn public_pem(&self) -> Result<String, Error> {
        let der = match self {
            Self::Ecdsa(key) => key.public_key().as_der().map(|der| der.as_ref().to_vec()),
            Self::MlDsa(key) => key.public_key().as_der().map(|der| der.as_ref().to_vec()),
        };
        let der = der.map_err(|_| Error::Key("the key cannot be written as SPKI".to_owned()))?;
        Ok(pem::encode(PUBLIC, &der).to_string())
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Key("the key does not sign".to_owned());
        match self {
            Self::Ecdsa(key) => {
                let signature = key.sign(&SystemRandom::new(), message).map_err(failed)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::MlDsa(key) => {
                let mut signature = vec![0; key.algorithm().signature_len()];
                let length = key.sign(message, &mut signature).map_err(failed)?;
                signature.truncate(length);
                Ok(signature)
            }
        }
    }
}

/// A public key.
pub struct Verifier {
    kind: Kind,
    key: ParsedPublicKey,
    hint: String,
}

impl Verifier {
    /// From PEM.
    pub fn parse(kind: Kind, text: &(impl AsRef<[u8]> + ?Sized)) -> Result<Self, Error> {
        let wrong = || {
            let name = kind.name();
            Error::Key(format!(
                "no {name} public key in PEM (`-----BEGIN PUBLIC KEY-----`)"
            ))
        };
        let der = hybridge_pem::public_key(text.as_ref()).map_err(unreadable(wrong))?;
        let algorithms = match kind {
            Kind::Ecdsa => ECDSA.map(|(_, algorithm)| algorithm),
            Kind::MlDsa => ML_DSA.map(|(_, algorithm)| algorithm),
        };
        let mut keys = algorithms
            .into_iter()
            .filter_map(|a| ParsedPublicKey::new(a, &*der).ok());
        Ok(Self {
            kind,
            key: keys.next().ok_or_else(wrong)?,
            hint: hint(&pem::encode(PUBLIC, &der)),
        })
    }

    /// Which kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How a bundle names it.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether the signature is this key's.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

/// How a bundle names a key: the SHA-256 of its PEM text.
pub fn hint(pem: &str) -> String {
    hex(&sha256(pem.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_from_its_text_and_knows_its_signature() {
        for kind in [Kind::Ecdsa, Kind::MlDsa] {
            let signer = Signer::generate(kind).unwrap();
            let again = Signer::parse(kind, &signer.private_pem().unwrap()).unwrap();
            let public = again.public_pem().unwrap();
            let verifier = Verifier::parse(kind, &public).unwrap();
            assert_eq!(verifier.hint(), hint(&public));
            let signature = signer.sign(b"message").unwrap();
            assert!(verifier.verifies(b"message", &signature));
            assert!(!verifier.verifies(b"massage", &signature));
        }
    }

    #[test]
    fn of_several_keys_none_is_chosen() {
        for kind in [Kind::Ecdsa, Kind::MlDsa] {
            let (one, other) = (Signer::generate(kind), Signer::generate(kind));
            let (one, other) = (one.unwrap(), other.unwrap());
            let public = one.public_pem().unwrap() + &other.public_pem().unwrap();
            let error = Verifier::parse(kind, &public).err().unwrap();
            assert!(error.to_string().contains("2 public keys"), "{error}");
            let (one, other) = (one.private_pem().unwrap(), other.private_pem().unwrap());
            let error = Signer::parse(kind, &format!("{}{}", *one, *other));
            let error = error.err().unwrap();
            assert!(error.to_string().contains("2 private keys"), "{error}");
            // The public key beside it is in nobody's way.
            Signer::parse(kind, &format!("{public}{}", *one)).unwrap();
        }
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_passed_over_for_the_next() {
        let (one, other) = (Signer::generate(Kind::Ecdsa), Signer::generate(Kind::Ecdsa));
        let (one, other) = (one.unwrap(), other.unwrap());
        let damaged = one.public_pem().unwrap().replacen('-', "", 1);
        let text = damaged + &other.public_pem().unwrap();
        let error = Verifier::parse(Kind::Ecdsa, &text).err().unwrap();
        assert!(error.to_string().contains("never begun"), "{error}");
        let private = one.private_pem().unwrap();
        let line = private.replace('\n', " ");
        let error = Signer::parse(Kind::Ecdsa, &line).err().unwrap();
        assert!(error.to_string().contains("line breaks"), "{error}");
        let encrypted = private.replace("PRIVATE", "ENCRYPTED PRIVATE");
        let error = Signer::parse(Kind::Ecdsa, &encrypted).err().unwrap();
        assert!(error.to_string().contains("decrypt it with"), "{error}");
    }

    #[test]
    fn a_key_of_the_other_kind_is_refused() {
        let (ecdsa, ml_dsa) = (Signer::generate(Kind::Ecdsa), Signer::generate(Kind::MlDsa));
        let (ecdsa, ml_dsa) = (ecdsa.unwrap(), ml_dsa.unwrap());
        assert!(Verifier::parse(Kind::MlDsa, &ecdsa.public_pem().unwrap()).is_err());
        assert!(Verifier::parse(Kind::Ecdsa, &ml_dsa.public_pem().unwrap()).is_err());
        assert!(Signer::parse(Kind::MlDsa, &ecdsa.private_pem().unwrap()).is_err());
        let error = Signer::parse(Kind::Ecdsa, "no PEM").err().unwrap();
        assert!(
            error.to_string().contains("no ECDSA private key"),
            "{error}"
        );
    }
}
