//! For the fuzzer: a client that signed one request, and a listener that verifies any.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::{CONTENT_DIGEST, KeySet, Message, Settings, SignatureKind, SignatureMode, Verifier};

/// What the client signed: the components, and the body `hello`.
pub const SIGNED: [(&str, &str); 5] = [
    ("@method", "POST"),
    ("@authority", "api.example"),
    ("@path", "/v1/chat"),
    ("@query", "?n=1"),
    (
        CONTENT_DIGEST,
        "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:",
    ),
];
const NOW: u64 = 1_800_000_000;
/// How many times a signature is filled in.
const MOST: usize = 4;

/// The client's signatures, and the keys that they verify by.
pub struct Client {
    jwks: String,
    /// What stands for a signature, and the signature.
    signatures: [(&'static str, String); 2],
}

/// What came of a request: `ok` or the reason, and whether the bytes behind its head are its body.
#[derive(Debug, Eq, PartialEq)]
pub struct Outcome {
    /// `ok`, or the reason.
    pub result: &'static str,
    /// Whether its body came to the digest.
    pub body: bool,
}

impl Client {
    /// With new keys, so that none lies anywhere. `None`: no randomness.
    pub fn new() -> Option<Self> {
        let ed25519 = Ed25519KeyPair::generate().ok()?;
        let ml_dsa = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).ok()?;
        let mut second = vec![0; ML_DSA_65_SIGNING.signature_len()];
        let length = ml_dsa.sign(&base("pq"), &mut second).ok()?;
        second.truncate(length);
        let first = ed25519.sign(&base("ed"));
        let url = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let jwks = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"ed","principal":"batch","x":"{}"}},{{"kty":"AKP","alg":"ML-DSA-65","kid":"pq","principal":"batch","pub":"{}"}}]}}"#,
            url(ed25519.public_key().as_ref()),
            url(ml_dsa.public_key().as_ref()),
        );
        Some(Self {
            jwks,
            signatures: [
                ("$c", BASE64_STANDARD.encode(first)),
                ("$p", BASE64_STANDARD.encode(second)),
            ],
        })
    }

    /// The text with the signatures where `$c` and `$p` stand.
    pub fn fill(&self, text: &str) -> String {
        let [(c, classical), (p, ml_dsa)] = &self.signatures;
        text.replacen(c, classical, MOST).replacen(p, ml_dsa, MOST)
    }

    /// Verifies a request twice by a listener that saw none, `body` behind its head.
    pub(crate) fn verify_twice(&self, message: &Message<'_>, body: &[u8]) -> Option<[Outcome; 2]> {
        let settings = Settings {
            mode: SignatureMode::Require,
            keys: "clients.jwks".into(),
            require: vec![SignatureKind::Classical, SignatureKind::MlDsa],
            cover: SIGNED.map(|(name, _)| name.to_owned()).to_vec(),
            max_age: Duration::from_mins(1),
            skew: Duration::from_secs(5),
            replay_table: 100,
        };
        let keys = KeySet::parse(&settings.keys, self.jwks.as_bytes(), &settings.require).ok()?;
        let verifier = Verifier::new(&settings, keys, &Arc::default());
        let outcome = |()| match verifier.verify_at(message, Duration::from_secs(NOW)) {
            Ok(verified) => Outcome {
                result: "ok",
                body: verified.body.is_none_or(|mut digest| {
                    digest.update(body);
                    digest.matches()
                }),
            },
            Err(refusal) => Outcome {
                result: refusal.as_str(),
                body: false,
            },
        };
        Some([(); 2].map(outcome))
    }
}

/// By RFC 9421 §2.5, in a way of its own.
fn base(key_id: &str) -> Vec<u8> {
    let names = SIGNED.map(|(name, _)| format!("\"{name}\"")).join(" ");
    let lines: String = SIGNED
        .iter()
        .map(|(name, value)| format!("\"{name}\": {value}\n"))
        .collect();
    let params = format!("({names});created={NOW};nonce=\"1\";keyid=\"{key_id}\"");
    format!("{lines}\"@signature-params\": {params}").into_bytes()
}
