//! A Sigstore bundle 0.3 with one DSSE signature and a public key's name. Exactly one signature: the
//! format forbids more, so two algorithms are two bundles.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keys::{Signer, Verifier, hint};
use super::{Error, said};

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
struct Text<'a> {
    media_type: String,
    verification_material: Material,
    #[serde(borrow)]
    dsse_envelope: Envelope<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Material {
    public_key: PublicKey,
    #[serde(default)]
    tlog_entries: Unread,
}

/// A list that nobody looks at, written empty. Of what a stranger sends nothing is kept.
#[derive(Default)]
struct Unread;

impl Serialize for Unread {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq([(); 0])
    }
}

impl<'de> Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<IgnoredAny>::deserialize(deserializer).map(|_| Self)
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PublicKey {
    #[serde(default)]
    hint: String,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(borrow)]
    payload: Cow<'a, str>,
    payload_type: String,
    signatures: Signatures,
}

/// The first signature, and how many there are.
struct Signatures(Option<Signature>, usize);

impl Serialize for Signatures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Signatures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Signatures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of signatures")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Signatures, A::Error> {
                let first = list.next_element()?;
                let mut count = usize::from(first.is_some());
                while list.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Signatures(first, count))
            }
        }
        deserializer.deserialize_seq(List)
    }
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
            tlog_entries: Unread,
        },
        dsse_envelope: Envelope {
            payload: STANDARD.encode(payload).into(),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: Signatures(
                Some(Signature {
                    sig: STANDARD.encode(signature),
                    keyid: String::new(),
                }),
                1,
            ),
        },
    };
    serde_json::to_string(&text).map_err(|error| Error::Bundle(error.to_string()))
}

impl Bundle {
    /// Of a file's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Bundle(why.to_owned());
        let text: Text<'_> =
            serde_json::from_slice(bytes).map_err(|error| Error::Bundle(said(&error)))?;
        if text.media_type != MEDIA_TYPE {
            return Err(wrong("its mediaType is not that of a Sigstore bundle 0.3"));
        }
        let envelope = text.dsse_envelope;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(wrong("its payload is not application/vnd.in-toto+json"));
        }
        let Signatures(Some(signature), 1) = &envelope.signatures else {
            return Err(Error::Bundle(format!(
                "it has {} signatures, and one is allowed",
                envelope.signatures.1
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

    /// Of what a stranger writes little is kept before it is refused, and little is said.
    #[test]
    fn long_lists_and_names_cost_little() {
        let signer = Signer::generate(Kind::Ecdsa).unwrap();
        let text = write(b"{}", &signer).unwrap();
        let entries = vec!["0"; 100_000].join(",");
        let long = text.replace(
            "\"tlogEntries\":[]",
            &format!("\"tlogEntries\":[{entries}]"),
        );
        assert!(long.len() > 200_000);
        Bundle::read(long.as_bytes()).unwrap();
        let one = "{\"sig\":\"\",\"keyid\":\"\"}";
        let many = vec![one; 100_000].join(",");
        let many = text.replace("\"signatures\":[", &format!("\"signatures\":[{many},"));
        let error = Bundle::read(many.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("100001 signatures"), "{error}");
        let named = text.replacen('{', &format!("{{\"{}\u{1b}\":1,", "x".repeat(1 << 20)), 1);
        let error = Bundle::read(named.as_bytes()).unwrap_err().to_string();
        assert!(error.len() < 4096, "{} bytes", error.len());
    }
}
