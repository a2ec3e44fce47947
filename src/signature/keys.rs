//! Whose signatures count: a JWK set (RFC 7517) of public keys, each with `kid` and `principal`.
//!
//! OKP Ed25519 (RFC 8037), EC P-256 (RFC 7518), AKP ML-DSA (RFC 9964). A private key is refused.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87, ParsedPublicKey,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use thiserror::Error;

use super::settings::SignatureKind;
use crate::redact::Shown;
use crate::regular_file;

/// Bytes of the file.
const MAX_FILE: u64 = 4 << 20;
/// Keys that `/status` names.
const LISTED: usize = 100;
/// Characters of a name that becomes a field's value.
const MAX_NAME: usize = 256;

/// Why a file of keys cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It cannot be read.
    #[error("signature keys {path}: {cause}: make it a readable file with a JWK set")]
    Unreadable {
        /// The file.
        path: Shown,
        /// Why.
        cause: io::Error,
    },
    /// It is no JWK set.
    #[error(
        "signature keys {path}: line {line}: not a JWK set: write {{\"keys\": [...]}}, each key with kty, kid and principal"
    )]
    NotASet {
        /// The file.
        path: Shown,
        /// Where reading stopped.
        line: usize,
    },
    /// One key cannot be used.
    #[error("signature keys {path}: key {number} ({kid}): {problem}")]
    Key {
        /// The file.
        path: Shown,
        /// Counted from 1.
        number: usize,
        /// Its `kid`.
        kid: Shown,
        /// What is wrong, and the remedy.
        problem: &'static str,
    },
    /// No principal has every key that is required.
    #[error(
        "signature keys {path}: no principal has a key of each kind that signature.require asks for: nobody could sign a request; add the keys, or require less"
    )]
    Nobody {
        /// The file.
        path: Shown,
    },
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    principal: String,
    crv: Option<String>,
    alg: Option<String>,
    x: Option<String>,
    y: Option<String>,
    #[serde(rename = "pub")]
    public: Option<String>,
    d: Option<serde::de::IgnoredAny>,
    #[serde(rename = "priv")]
    private: Option<serde::de::IgnoredAny>,
}

/// A public key and whose it is.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) principal: String,
    pub(super) kind: SignatureKind,
    /// The name in `alg` (RFC 9421 §6.2).
    pub(super) algorithm: &'static str,
    verification: &'static dyn VerificationAlgorithm,
    bytes: Vec<u8>,
}

impl Key {
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(self.verification, &self.bytes);
        key.verify(message, signature).is_ok()
    }
}

/// The keys by their `kid`.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: HashMap<String, Key>,
    /// How many there are.
    principals: usize,
    /// Of the file.
    digest: [u8; 32],
}

impl KeySet {
    pub(super) fn load(path: &Path, require: &[SignatureKind]) -> Result<Self, KeyError> {
        let text = read(path).map_err(|cause| KeyError::Unreadable {
            path: path.into(),
            cause,
        })?;
        Self::parse(path, &text, require)
    }

    pub(super) fn parse(
        path: &Path,
        text: &[u8],
        require: &[SignatureKind],
    ) -> Result<Self, KeyError> {
        // The cause would repeat what the file holds.
        let set: JwkSet = serde_json::from_slice(text).map_err(|error| KeyError::NotASet {
            path: path.into(),
            line: error.line(),
        })?;
        let mut keys = HashMap::new();
        for (index, jwk) in set.keys.iter().enumerate() {
            let refused = |problem| KeyError::Key {
                path: path.into(),
                number: index + 1,
                kid: jwk.kid.as_str().into(),
                problem,
            };
            let key = key(jwk).map_err(refused)?;
            if keys.insert(jwk.kid.clone(), key).is_some() {
                return Err(refused("another key has the same kid: give each its own"));
            }
        }
        let has_all = |principal: &str| {
            let mut kinds = require.iter();
            kinds.all(|kind| {
                let mut all = keys.values();
                all.any(|key| key.principal == principal && key.kind == *kind)
            })
        };
        if !keys.values().any(|key| has_all(&key.principal)) {
            return Err(KeyError::Nobody { path: path.into() });
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, text).as_ref());
        let principals = keys.values().map(|key| key.principal.as_str());
        let principals = principals.collect::<HashSet<_>>().len();
        Ok(Self {
            keys,
            principals,
            digest,
        })
    }

    /// How many principals there are.
    pub(super) fn principals(&self) -> usize {
        self.principals
    }

    pub(super) fn get(&self, kid: &str) -> Option<&Key> {
        self.keys.get(kid)
    }

    /// Whether it is of the same file.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<_> = self.keys.keys().cloned().collect();
        ids.sort();
        ids.truncate(LISTED);
        ids
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, _) = regular_file::open(path)?;
    let mut text = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("larger than 4 MiB"));
    }
    Ok(text)
}

fn key(jwk: &Jwk) -> Result<Key, &'static str> {
    if jwk.d.is_some() || jwk.private.is_some() {
        return Err("it is a private key: only its owner may have it; put the public key here");
    }
    for name in [&jwk.kid, &jwk.principal] {
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("kid and principal must be visible ASCII of 1 to 256 characters");
        }
    }
    let (kind, algorithm, verification, bytes) = material(jwk)?;
    Ok(Key {
        principal: jwk.principal.clone(),
        kind,
        algorithm,
        verification,
        bytes,
    })
}

type Material = (
    SignatureKind,
    &'static str,
    &'static dyn VerificationAlgorithm,
    Vec<u8>,
);

fn material(jwk: &Jwk) -> Result<Material, &'static str> {
    let name = jwk.crv.as_deref().or(jwk.alg.as_deref());
    let classical = SignatureKind::Classical;
    Ok(match (jwk.kty.as_str(), name) {
        ("OKP", Some("Ed25519")) => {
            let point = decode(jwk.x.as_ref(), 32)?;
            if small_order(&point) {
                return Err(
                    "its point has a small order, so that anybody can sign: make a new key",
                );
            }
            (classical, "ed25519", &ED25519, point)
        }
        ("EC", Some("P-256")) => {
            let mut point = vec![4];
            point.extend(decode(jwk.x.as_ref(), 32)?);
            point.extend(decode(jwk.y.as_ref(), 32)?);
            if ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).is_err() {
                return Err("its x and y are no point of P-256: copy both from the key");
            }
            (
                classical,
                "ecdsa-p256-sha256",
                &ECDSA_P256_SHA256_FIXED,
                point,
            )
        }
        ("AKP", _) => {
            let (algorithm, verification, length): (_, &dyn VerificationAlgorithm, _) =
                match jwk.alg.as_deref() {
                    Some("ML-DSA-44") => ("ml-dsa-44", &ML_DSA_44, 1312),
                    Some("ML-DSA-65") => ("ml-dsa-65", &ML_DSA_65, 1952),
                    Some("ML-DSA-87") => ("ml-dsa-87", &ML_DSA_87, 2592),
                    _ => return Err("alg must be ML-DSA-44, ML-DSA-65 or ML-DSA-87"),
                };
            let bytes = decode(jwk.public.as_ref(), length)?;
            (SignatureKind::MlDsa, algorithm, verification, bytes)
        }
        _ => return Err("known are OKP with Ed25519, EC with P-256 and AKP with ML-DSA"),
    })
}

/// Whether a point of edwards25519 has order 8 or less: its y-coordinate is one of five, or one of
/// those in another writing. The sign of x, in the highest bit, does not matter.
fn small_order(point: &[u8]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = point.to_vec();
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    let [low, middle @ .., high] = y.as_slice() else {
        return true;
    };
    // 0 and 1; p - 1, p and p + 1 of p = 2^255 - 19, the latter two being 0 and 1 again.
    let all = |byte: u8| middle.iter().all(|is| *is == byte);
    let small = all(0) && *high == 0 && *low <= 1;
    let near_p = all(0xff) && *high == 0x7f && (0xec..=0xee).contains(low);
    small || near_p || ORDER_8.iter().any(|known| known[..] == y[..])
}

fn decode(text: Option<&String>, length: usize) -> Result<Vec<u8>, &'static str> {
    let text = text.ok_or("its public part is missing")?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
    let bytes = bytes.map_err(|_| "its public part is not base64url without padding")?;
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err("its public part has another length than its algorithm's")
    }
}
