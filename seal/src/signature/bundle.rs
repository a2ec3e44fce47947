//! A Sigstore bundle 0.3 with one DSSE signature and a public key's name. Exactly one signature: the
//! format forbids more, so two algorithms are two bundles.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Error;
use super::keys::{Signer, Verifier, hint};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// Bytes of a bundle, at most: a statement of 300,000 files.
pub const MAX_BUNDLE: u64 = 64 << 20;

/// What was read of a bundle; nothing of it is verified.
#[derive(Debug, Eq, PartialEq)]
pub struct Bundle {
    /// The statement, as bytes.
    pub payload: Vec<u8>,
    signature: Vec<u8>,
    hint: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Text {
    media_type: String,
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    public_key: PublicKey,
    #[serde(default)]
    tlog_entries: Vec<serde_json::Value>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PublicKey {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    sig: String,
    #[serde(default)]
    keyid: String,
}

/// A bundle over the payload, as text.
pub fn write(payload: &[u8], signer: &Signer) -> Result<String, Error> {
    let signature = signer.sign(&encoded(payload))?;
    let text = Text {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: Material {
            public_key: PublicKey {
                hint: hint(&signer.public_pem()?),
            },
            tlog_entries: Vec::new(),
        },
        dsse_envelope: Envelope {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature {
                sig: STANDARD.encode(signature),
                keyid: String::new(),
            }],
        },
    };
    serde_json::to_string(&text).map_err(|error| Error::Bundle(error.to_string()))
}

impl Bundle {
    /// Of a file's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Bundle(why.to_owned());
        let text: Text =
            serde_json::from_slice(bytes).map_err(|error| Error::Bundle(error.to_string()))?;
        if text.media_type != MEDIA_TYPE {
            return Err(wrong("its mediaType is not that of a Sigstore bundle 0.3"));
        }
        let envelope = text.dsse_envelope;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(wrong("its payload is not application/vnd.in-toto+json"));
        }
        let [signature] = envelope.signatures.as_slice() else {
            return Err(Error::Bundle(format!(
                "it has {} signatures, and one is allowed",
                envelope.signatures.len()
            )));
        };
        let bytes = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| wrong("base64 is damaged"))
        };
        Ok(Self {
            payload: bytes(&envelope.payload)?,
            signature: bytes(&signature.sig)?,
            hint: text.verification_material.public_key.hint,
        })
    }

    /// Whether the signature is this key's.
    pub fn verify(&self, verifier: &Verifier) -> Result<(), Error> {
        if verifier.verifies(&encoded(&self.payload), &self.signature) {
            return Ok(());
        }
        let other = !self.hint.is_empty() && self.hint != verifier.hint();
        Err(Error::Wrong {
            algorithm: verifier.kind().name(),
            hint: if other {
                ": it was made with another key than the one given"
            } else {
                ": the bundle was changed, or the key is not the signer's"
            },
        })
    }
}

/// What is signed: the pre-authentication encoding of DSSE.
fn encoded(payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {PAYLOAD_TYPE} {} ",
        PAYLOAD_TYPE.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::super::keys::Kind;
    use super::*;

    #[test]
    fn a_bundle_holds_under_its_key_alone() {
        for kind in [Kind::Ecdsa, Kind::MlDsa] {
            let (signer, other) = (
                Signer::generate(kind).unwrap(),
                Signer::generate(kind).unwrap(),
            );
            let verifier =
                |signer: &Signer| Verifier::parse(kind, &signer.public_pem().unwrap()).unwrap();
            let text = write(b"{}", &signer).unwrap();
            let mut bundle = Bundle::read(text.as_bytes()).unwrap();
            bundle.verify(&verifier(&signer)).unwrap();
            let error = bundle.verify(&verifier(&other)).unwrap_err().to_string();
            assert!(error.contains("made with another key"), "{error}");
            bundle.payload.push(b' ');
            let error = bundle.verify(&verifier(&signer)).unwrap_err().to_string();
            assert!(error.contains("the bundle was changed"), "{error}");
        }
    }

    #[test]
    fn more_or_fewer_signatures_than_one_and_unknown_fields_are_refused() {
        let signer = Signer::generate(Kind::Ecdsa).unwrap();
        let text = write(b"{}", &signer).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let signature = value["dsseEnvelope"]["signatures"][0].clone();
        let mut refused = |signatures: serde_json::Value| {
            value["dsseEnvelope"]["signatures"] = signatures;
            Bundle::read(value.to_string().as_bytes())
                .unwrap_err()
                .to_string()
        };
        let two = refused(serde_json::json!([signature, signature]));
        assert!(
            two.ends_with("it has 2 signatures, and one is allowed"),
            "{two}"
        );
        assert!(refused(serde_json::json!([])).contains("it has 0 signatures"));
        let more = text.replacen('{', "{\"more\":1,", 1);
        let error = Bundle::read(more.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("unknown field `more`"), "{error}");
    }
}
