//! Which signature scheme of TLS 1.3 is which mechanism of PKCS#11 (RFC 8446 section 4.2.3; PKCS#11 3.2).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use cryptoki::mechanism::dsa::{HedgeType, SignAdditionalContext};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::KeyType;
use rustls::SignatureScheme;

/// The kind of a key, as its certificate says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// ECDSA P-256.
    P256,
    /// ECDSA P-384.
    P384,
    /// RSA; signs by RSA-PSS.
    Rsa,
    /// Ed25519.
    Ed25519,
    /// ML-DSA-44.
    MlDsa44,
    /// ML-DSA-65.
    MlDsa65,
    /// ML-DSA-87.
    MlDsa87,
}

impl Kind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::P256, "ECDSA P-256"),
        (Self::P384, "ECDSA P-384"),
        (Self::Rsa, "RSA"),
        (Self::Ed25519, "Ed25519"),
        (Self::MlDsa44, "ML-DSA-44"),
        (Self::MlDsa65, "ML-DSA-65"),
        (Self::MlDsa87, "ML-DSA-87"),
    ];

    /// By the name that people know it by.
    pub fn by_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, known)| *known == name).map(|(kind, _)| kind)
    }

    /// That name.
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    pub(crate) fn key_type(self) -> KeyType {
        match self {
            Self::P256 | Self::P384 => KeyType::EC,
            Self::Rsa => KeyType::RSA,
            Self::Ed25519 => KeyType::EC_EDWARDS,
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => KeyType::ML_DSA,
        }
    }

    /// Its schemes in TLS 1.3, the best first.
    pub(crate) fn schemes(self) -> &'static [SignatureScheme] {
        match self {
            Self::P256 => &[SignatureScheme::ECDSA_NISTP256_SHA256],
            Self::P384 => &[SignatureScheme::ECDSA_NISTP384_SHA384],
            Self::Rsa => &[
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PSS_SHA384,
                SignatureScheme::RSA_PSS_SHA512,
            ],
            Self::Ed25519 => &[SignatureScheme::ED25519],
            Self::MlDsa44 => &[SignatureScheme::ML_DSA_44],
            Self::MlDsa65 => &[SignatureScheme::ML_DSA_65],
            Self::MlDsa87 => &[SignatureScheme::ML_DSA_87],
        }
    }

    /// What a token needs for any of them, by its name in PKCS#11.
    pub(crate) fn needs(self) -> &'static str {
        match self {
            Self::P256 | Self::P384 => "CKM_ECDSA",
            Self::Rsa => "CKM_RSA_PKCS_PSS or CKM_SHA256_RSA_PKCS_PSS",
            Self::Ed25519 => "CKM_EDDSA",
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => "CKM_ML_DSA",
        }
    }
}

/// How a token makes signatures of one scheme.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) scheme: SignatureScheme,
    /// Of RSA-PSS: the token hashes too.
    hashes: bool,
}

impl Way {
    /// The way of a scheme with a token that has these mechanisms.
    pub(crate) fn of(scheme: SignatureScheme, has: &[MechanismType]) -> Option<Self> {
        let way = |hashes| Self { scheme, hashes };
        // Hashed here where it can be: a device gets 32 bytes instead of the transcript.
        [way(false), way(true)]
            .into_iter()
            .find(|way| has.contains(&way.mechanism().mechanism_type()))
    }

    pub(crate) fn mechanism(self) -> Mechanism<'static> {
        let pss = |hash_alg, mgf, s_len: u64| PkcsPssParams {
            hash_alg,
            mgf,
            s_len: s_len.into(),
        };
        let sha256 = pss(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, 32);
        let sha384 = pss(MechanismType::SHA384, PkcsMgfType::MGF1_SHA384, 48);
        let sha512 = pss(MechanismType::SHA512, PkcsMgfType::MGF1_SHA512, 64);
        match (self.scheme, self.hashes) {
            (SignatureScheme::RSA_PSS_SHA256, false) => Mechanism::RsaPkcsPss(sha256),
            (SignatureScheme::RSA_PSS_SHA384, false) => Mechanism::RsaPkcsPss(sha384),
            (SignatureScheme::RSA_PSS_SHA512, false) => Mechanism::RsaPkcsPss(sha512),
            (SignatureScheme::RSA_PSS_SHA256, true) => Mechanism::Sha256RsaPkcsPss(sha256),
            (SignatureScheme::RSA_PSS_SHA384, true) => Mechanism::Sha384RsaPkcsPss(sha384),
            (SignatureScheme::RSA_PSS_SHA512, true) => Mechanism::Sha512RsaPkcsPss(sha512),
            (SignatureScheme::ED25519, _) => {
                Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure))
            }
            (
                SignatureScheme::ML_DSA_44
                | SignatureScheme::ML_DSA_65
                | SignatureScheme::ML_DSA_87,
                _,
            ) => Mechanism::MlDsa(SignAdditionalContext::new(HedgeType::Preferred, None)),
            _ => Mechanism::Ecdsa,
        }
    }

    /// What the token is given of a message.
    pub(crate) fn input(self, message: &[u8]) -> Vec<u8> {
        let hashed = |algorithm: &'static Algorithm| digest(algorithm, message).as_ref().to_vec();
        match (self.scheme, self.hashes) {
            (SignatureScheme::ECDSA_NISTP256_SHA256, _)
            | (SignatureScheme::RSA_PSS_SHA256, false) => hashed(&SHA256),
            (SignatureScheme::ECDSA_NISTP384_SHA384, _)
            | (SignatureScheme::RSA_PSS_SHA384, false) => hashed(&SHA384),
            (SignatureScheme::RSA_PSS_SHA512, false) => hashed(&SHA512),
            _ => message.to_vec(),
        }
    }

    /// What TLS sends of what the token made: of ECDSA `r` and `s` in DER, else the same.
    pub(crate) fn output(self, signature: Vec<u8>) -> Option<Vec<u8>> {
        let half = match self.scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256 => 32,
            SignatureScheme::ECDSA_NISTP384_SHA384 => 48,
            _ => return Some(signature),
        };
        if signature.len() != 2 * half {
            return None;
        }
        let (r, s) = signature.split_at(half);
        let body = [integer(r), integer(s)].concat();
        let length = u8::try_from(body.len())
            .ok()
            .filter(|length| *length < 128)?;
        Some([&[0x30, length], body.as_slice()].concat())
    }
}

/// A DER INTEGER of at most 49 bytes.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let mut digits = number.get(zeros..).unwrap_or_default().to_vec();
    if digits.first().is_none_or(|first| *first > 127) {
        digits.insert(0, 0);
    }
    let length = digits.len() as u8;
    [&[2, length], digits.as_slice()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_short_as_der_wants() {
        assert_eq!(integer(&[0, 0, 1]), [2, 1, 1]);
        assert_eq!(integer(&[0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }

    #[test]
    fn a_signature_of_another_curve_is_none() {
        let way = Way {
            scheme: SignatureScheme::ECDSA_NISTP256_SHA256,
            hashes: false,
        };
        assert_eq!(way.output(vec![1; 96]), None);
        assert_eq!(way.output(vec![1; 64]).map(|der| der.len()), Some(70));
    }
}
