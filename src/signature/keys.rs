//! Whose signatures count: a JWK set (RFC 7517) of public keys, each with `kid` and `principal`.
//!
//! OKP Ed25519 (RFC 8037), EC P-256 (RFC 7518), AKP ML-DSA (RFC 9964). A private key is refused.

mod error;
mod left_out;
mod material;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};
use std::path::Path;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ML_DSA_44, ML_DSA_65, ML_DSA_87, ParsedPublicKey,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

pub use self::error::KeyError;
use self::left_out::LeftOut;
use self::material::{decode, small_order};
use super::settings::SignatureKind;
use crate::regular_file;
use crate::secret_file::{Exposure, exposure};

/// Bytes of the file.
const MAX_FILE: u64 = 4 << 20;
/// Keys that `/status` names.
const LISTED: usize = 100;
/// Characters of a name that becomes a field's value.
const MAX_NAME: usize = 256;

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// Members of any type: the keys of others are not held to what ours have.
#[derive(Deserialize)]
struct Jwk {
    kty: Option<Value>,
    kid: Option<Value>,
    principal: Option<Value>,
    #[serde(rename = "use")]
    purpose: Option<Value>,
    crv: Option<Value>,
    alg: Option<Value>,
    x: Option<Value>,
    y: Option<Value>,
    #[serde(rename = "pub")]
    public: Option<Value>,
    d: Option<serde::de::IgnoredAny>,
    #[serde(rename = "priv")]
    private: Option<serde::de::IgnoredAny>,
    /// Of a symmetric key.
    k: Option<serde::de::IgnoredAny>,
}

/// The text of a member; nothing where it is something else.
fn word(member: Option<&Value>) -> &str {
    member.and_then(Value::as_str).unwrap_or_default()
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
    warning: Option<String>,
}

impl KeySet {
    pub(super) fn load(path: &Path, require: &[SignatureKind]) -> Result<Self, KeyError> {
        if let Some(Exposure::Writable(mode)) = exposure(path) {
            let path = path.into();
            return Err(KeyError::Writable { path, mode });
        }
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
        // The byte order mark that some editors write.
        let json = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        // The cause would repeat what the file holds.
        let set: JwkSet = serde_json::from_slice(json).map_err(|error| KeyError::NotASet {
            path: path.into(),
            line: error.line(),
        })?;
        let mut keys = HashMap::new();
        let mut left_out = LeftOut::default();
        for (index, jwk) in set.keys.iter().enumerate() {
            let refused = |problem| KeyError::Key {
                path: path.into(),
                number: index + 1,
                kid: Some(word(jwk.kid.as_ref()))
                    .filter(|kid| !kid.is_empty())
                    .unwrap_or("no kid")
                    .into(),
                problem,
            };
            let Some(key) = key(jwk).map_err(refused)? else {
                left_out.add(index + 1, word(jwk.kid.as_ref()), word(jwk.kty.as_ref()));
                continue;
            };
            if keys
                .insert(word(jwk.kid.as_ref()).to_owned(), key)
                .is_some()
            {
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
            return Err(KeyError::Nobody {
                path: path.into(),
                left_out: left_out.to_string(),
            });
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(aws_lc_rs::digest::digest(&SHA256, text).as_ref());
        let principals = keys.values().map(|key| key.principal.as_str());
        let principals = principals.collect::<HashSet<_>>().len();
        Ok(Self {
            keys,
            principals,
            digest,
            warning: left_out.warning(path),
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

    /// About keys that do not count.
    pub(super) fn warning(&self) -> Option<&String> {
        self.warning.as_ref()
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

/// `None`: nobody's, not for signatures, or of a kind that is not known (RFC 7517 section 5).
fn key(jwk: &Jwk) -> Result<Option<Key>, &'static str> {
    if jwk.d.is_some() || jwk.private.is_some() || jwk.k.is_some() {
        return Err("it is a private key: only its owner may have it; put the public key here");
    }
    if jwk.principal.is_none() || jwk.purpose.as_ref().is_some_and(|purpose| purpose != "sig") {
        return Ok(None);
    }
    let Some((kind, algorithm, verification, bytes)) = material(jwk)? else {
        return Ok(None);
    };
    for name in [word(jwk.kid.as_ref()), word(jwk.principal.as_ref())] {
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("kid and principal must be visible ASCII of 1 to 256 characters");
        }
    }
    Ok(Some(Key {
        principal: word(jwk.principal.as_ref()).to_owned(),
        kind,
        algorithm,
        verification,
        bytes,
    }))
}

type Material = (
    SignatureKind,
    &'static str,
    &'static dyn VerificationAlgorithm,
    Vec<u8>,
);

fn material(jwk: &Jwk) -> Result<Option<Material>, &'static str> {
    let name = jwk.crv.as_ref().or(jwk.alg.as_ref());
    let name = name.map(|name| name.as_str().unwrap_or_default());
    let classical = SignatureKind::Classical;
    Ok(Some(match (word(jwk.kty.as_ref()), name) {
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
                match jwk.alg.as_ref().map(|alg| alg.as_str().unwrap_or_default()) {
                    Some("ML-DSA-44") => ("ml-dsa-44", &ML_DSA_44, 1312),
                    Some("ML-DSA-65") => ("ml-dsa-65", &ML_DSA_65, 1952),
                    Some("ML-DSA-87") => ("ml-dsa-87", &ML_DSA_87, 2592),
                    Some(_) => return Ok(None),
                    None => return Err("alg must be ML-DSA-44, ML-DSA-65 or ML-DSA-87"),
                };
            let bytes = decode(jwk.public.as_ref(), length)?;
            (SignatureKind::MlDsa, algorithm, verification, bytes)
        }
        ("OKP" | "EC", None) => return Err("crv must be Ed25519 for OKP, P-256 for EC"),
        _ => return Ok(None),
    }))
}
