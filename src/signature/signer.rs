//! The two keys that sign responses, and what a receipt repeats of a model: one directory, as
//! `hybridge keys sign` makes it.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ML_DSA_44_SIGNING,
    ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm,
};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hybridge_pem::KeyError;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::settings::ResponseSettings;
use crate::redact::Shown;
use crate::regular_file;
use crate::secret_file::{Exposure, exposure};

/// Bytes of a file with a private key.
const MAX_KEY: u64 = 64 << 10;
/// Bytes of a bundle, which lists every file of a model: as `hybridge sign` writes it.
pub(crate) const MAX_BUNDLE: u64 = 64 << 20;
const ML_DSA: [(&PqdsaSigningAlgorithm, &str, &str); 3] = [
    (&ML_DSA_65_SIGNING, "ml-dsa-65", "ML-DSA-65"),
    (&ML_DSA_44_SIGNING, "ml-dsa-44", "ML-DSA-44"),
    (&ML_DSA_87_SIGNING, "ml-dsa-87", "ML-DSA-87"),
];

/// Why responses cannot be signed.
#[derive(Debug, Error)]
#[error("signature.responses: {path}: {problem}")]
pub struct SignerError {
    path: Shown,
    problem: String,
}

/// Signs twice, by ECDSA P-256 and ML-DSA.
pub(super) struct Signer {
    classical: EcdsaKeyPair,
    ml_dsa: PqdsaKeyPair,
    /// The name in `alg` (RFC 9421 §6.2).
    algorithm: &'static str,
    /// Thumbprints (RFC 7638, RFC 9964): what `keyid` says.
    key_ids: [String; 2],
    /// Of the model that is served, `sha256:…`.
    pub(super) model: Option<String>,
    /// What was too open about its keys when they were read.
    pub(super) warnings: Vec<String>,
}

impl Signer {
    pub(super) fn load(settings: &ResponseSettings) -> Result<Self, SignerError> {
        let path = settings.keys.join("ec.key");
        let der = private_key(&path)?;
        let der = der.secret_pkcs8_der();
        let classical = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        let wrong =
            "no ECDSA P-256 private key in PEM (PKCS#8): make the pair by `hybridge keys sign`";
        let classical = classical.map_err(|_| refused(&path, wrong))?;
        let path = settings.keys.join("mldsa.key");
        let der = private_key(&path)?;
        let der = der.secret_pkcs8_der();
        let of_kind = |(algorithm, name, jose): &(&'static PqdsaSigningAlgorithm, _, _)| {
            let key = PqdsaKeyPair::from_pkcs8(algorithm, der).ok()?;
            Some((key, *name, *jose))
        };
        let found = ML_DSA.iter().find_map(of_kind);
        let (ml_dsa, algorithm, jose) = found.ok_or_else(|| {
            let wrong =
                "no ML-DSA private key in PEM (PKCS#8): make the pair by `hybridge keys sign`";
            refused(&path, wrong)
        })?;
        let model = settings.model.as_deref().map(model_digest).transpose()?;
        Ok(Self {
            key_ids: [
                of_p256(classical.public_key().as_ref()),
                of_ml_dsa(jose, ml_dsa.public_key().as_ref()),
            ],
            classical,
            ml_dsa,
            algorithm,
            model,
            warnings: exposed(settings),
        })
    }

    /// `signature-input` and `signature` over these components, whose values the base has already.
    pub(super) fn sign(&self, components: &str, base: &str, created: u64) -> Option<[String; 2]> {
        let algorithms = ["ecdsa-p256-sha256", self.algorithm];
        let (mut inputs, mut values) = (String::new(), String::new());
        for (index, label) in ["classical", "ml-dsa"].into_iter().enumerate() {
            let (key_id, algorithm) = (&self.key_ids[index], algorithms[index]);
            let params = format!(
                "({components});created={created};keyid=\"{key_id}\";alg=\"{algorithm}\";tag=\"hybridge\""
            );
            let message = format!("{base}\"@signature-params\": {params}");
            let value = match index {
                0 => self.ecdsa(message.as_bytes())?,
                _ => self.pq(message.as_bytes())?,
            };
            let comma = if index == 0 { "" } else { ", " };
            inputs.extend([comma, label, "=", &params]);
            values.extend([comma, label, "=:", &BASE64_STANDARD.encode(value), ":"]);
        }
        Some([inputs, values])
    }

    fn ecdsa(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature = self.classical.sign(&SystemRandom::new(), message).ok()?;
        Some(signature.as_ref().to_vec())
    }

    fn pq(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.ml_dsa.algorithm().signature_len()];
        let length = self.ml_dsa.sign(message, &mut signature).ok()?;
        signature.truncate(length);
        Some(signature)
    }

    /// Whether it would sign the same.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.key_ids == other.key_ids && self.model == other.model
    }

    pub(super) fn key_ids(&self) -> &[String; 2] {
        &self.key_ids
    }
}

fn refused(path: &Path, problem: impl Into<String>) -> SignerError {
    SignerError {
        path: path.into(),
        problem: problem.into(),
    }
}

fn private_key(path: &Path) -> Result<PrivatePkcs8KeyDer<'static>, SignerError> {
    if let Some(Exposure::Writable(mode)) = exposure(path) {
        let wrong =
            format!("everybody may write it (mode {mode:04o}), and so replace it: `chmod 600`");
        return Err(refused(path, wrong));
    }
    let text = read(path, MAX_KEY)?;
    match hybridge_pem::private_key(&text) {
        Ok(PrivateKeyDer::Pkcs8(key)) => Ok(key),
        Ok(_) => Err(refused(
            path,
            "its private key is not PKCS#8: convert it with `openssl pkey -in FILE -out NEW`",
        )),
        Err(KeyError::Nothing { .. }) => Err(refused(
            path,
            "no private key in PEM (PKCS#8, not encrypted)",
        )),
        Err(cause) => Err(refused(path, cause.to_string())),
    }
}

/// A warning about each key that others may read, or write as its group.
fn exposed(settings: &ResponseSettings) -> Vec<String> {
    let of_key = |path: &Path| {
        let (who, mode) = match exposure(path)? {
            Exposure::Writable(mode) => ("written by everybody", mode),
            Exposure::WritableByGroup(mode) => ("written by its group", mode),
            Exposure::Readable(mode) => ("read by everybody", mode),
        };
        let path = Shown::path(path);
        Some(format!(
            "signature.responses: {path} may be {who} (mode {mode:04o}), who could sign as this server: `chmod 600`"
        ))
    };
    let keys = key_files(settings);
    keys.iter().filter_map(|path| of_key(path)).collect()
}

fn key_files(settings: &ResponseSettings) -> [PathBuf; 2] {
    ["ec.key", "mldsa.key"].map(|name| settings.keys.join(name))
}

/// Of its full length at once, so that no copy stays in memory.
fn read(path: &Path, most: u64) -> Result<Zeroizing<Vec<u8>>, SignerError> {
    let reading = || -> io::Result<_> {
        let (file, length) = regular_file::open(path)?;
        if length > most {
            return Err(io::Error::other("too large"));
        }
        let length = usize::try_from(length).unwrap_or(0) + 1;
        let mut text = Zeroizing::new(Vec::with_capacity(length));
        file.take(most).read_to_end(&mut text)?;
        Ok(text)
    };
    reading().map_err(|error| refused(path, error.to_string()))
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "dsseEnvelope")]
    envelope: Envelope,
}

#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

#[derive(Deserialize)]
struct Statement {
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digests,
}

#[derive(Deserialize)]
struct Digests {
    sha256: String,
}

/// What `hybridge sign` says of the whole model. The caller has verified that.
fn model_digest(path: &Path) -> Result<String, SignerError> {
    if let Some(Exposure::Writable(mode)) = exposure(path) {
        let wrong = format!(
            "everybody may write it (mode {mode:04o}), and so name another model: `chmod o-w`"
        );
        return Err(refused(path, wrong));
    }
    let text = read(path, MAX_BUNDLE)?;
    let subject = || {
        let bundle: Bundle = serde_json::from_slice(&text).ok()?;
        let payload = BASE64_STANDARD.decode(bundle.envelope.payload).ok()?;
        let statement: Statement = serde_json::from_slice(&payload).ok()?;
        let [Subject { digest }] = <[Subject; 1]>::try_from(statement.subject).ok()?;
        let is_hex = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        let is_digest = digest.sha256.len() == 64 && digest.sha256.bytes().all(is_hex);
        is_digest.then(|| format!("sha256:{}", digest.sha256))
    };
    subject().ok_or_else(|| {
        refused(
            path,
            "no bundle of a model signature: name the model.sig of `hybridge sign`",
        )
    })
}

/// RFC 7638 §3.
fn thumbprint(jwk: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()))
}

fn of_p256(point: &[u8]) -> String {
    let text = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let (x, y) = point
        .get(1..)
        .unwrap_or_default()
        .split_at(32.min(point.len().saturating_sub(1)));
    let (x, y) = (text(x), text(y));
    thumbprint(&format!(
        r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#
    ))
}

fn of_ml_dsa(algorithm: &str, public: &[u8]) -> String {
    let public = BASE64_URL_SAFE_NO_PAD.encode(public);
    thumbprint(&format!(
        r#"{{"alg":"{algorithm}","kty":"AKP","pub":"{public}"}}"#
    ))
}

/// The files that a change of these settings shows in.
pub(super) fn files(settings: &ResponseSettings) -> Vec<PathBuf> {
    let keys = key_files(settings);
    keys.into_iter().chain(settings.model.clone()).collect()
}

#[cfg(test)]
mod tests;
