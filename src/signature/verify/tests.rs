#![allow(clippy::unwrap_used)]

mod left_out;
mod vectors;

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::digest::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, ML_DSA_65_SIGNING, PqdsaKeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use super::*;

const NOW: i64 = 1_800_000_000;
const COVER: &str = "\"@method\" \"@authority\" \"@path\" \"@query\" \"content-digest\"";

struct Client {
    ed25519: Ed25519KeyPair,
    ml_dsa: PqdsaKeyPair,
}

/// What a signed request looks like, each part to be changed.
struct Draft {
    classical: String,
    pq: String,
    labels: Vec<&'static str>,
    fields: Vec<(String, String)>,
    body: &'static [u8],
}

impl Client {
    fn new() -> Self {
        Self {
            ed25519: Ed25519KeyPair::generate().unwrap(),
            ml_dsa: PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap(),
        }
    }

    fn jwks(&self) -> String {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (ed, pq) = (self.ed25519.public_key(), self.ml_dsa.public_key());
        format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"ed","principal":"batch","x":"{}"}},{{"kty":"AKP","alg":"ML-DSA-65","kid":"pq","principal":"batch","pub":"{}"}}]}}"#,
            text(ed.as_ref()),
            text(pq.as_ref()),
        )
    }

    fn verifier(&self) -> Verifier {
        let settings = Settings {
            mode: SignatureMode::Require,
            keys: "clients.jwks".into(),
            require: vec![SignatureKind::Classical, SignatureKind::MlDsa],
            cover: ["@method", "@authority", "@path", "@query", "content-digest"]
                .map(str::to_owned)
                .to_vec(),
            max_age: Duration::from_mins(1),
            skew: Duration::from_secs(5),
            replay_table: 100,
        };
        let text = self.jwks();
        let keys = KeySet::parse(Path::new("k"), text.as_bytes(), &settings.require).unwrap();
        Verifier::new(&settings, keys, &Arc::default())
    }

    /// Signs as RFC 9421 says, in a way of its own: the base is written by hand.
    fn sign(&self, draft: &Draft) -> (String, String) {
        let value = BASE64_STANDARD.encode(digest(&SHA256, draft.body));
        let base = |params: &str| {
            let covered = params.split(')').next().unwrap();
            let mut base = String::new();
            for (name, value) in [
                ("@method", "POST"),
                ("@authority", "api.example"),
                ("@path", "/v1/chat"),
                ("@query", "?n=1"),
                ("content-digest", &*format!("sha-256=:{value}:")),
            ] {
                if covered.contains(&format!("\"{name}\"")) {
                    base.extend(["\"", name, "\": ", value, "\n"]);
                }
            }
            base + &format!("\"@signature-params\": {params}")
        };
        let mut ml_dsa = vec![0; ML_DSA_65_SIGNING.signature_len()];
        let message = base(&draft.pq);
        self.ml_dsa.sign(message.as_bytes(), &mut ml_dsa).unwrap();
        let ed25519 = self.ed25519.sign(base(&draft.classical).as_bytes());
        let (mut inputs, mut values) = (Vec::new(), Vec::new());
        for label in &draft.labels {
            let (params, signature) = match *label {
                "c" => (&draft.classical, ed25519.as_ref()),
                _ => (&draft.pq, &*ml_dsa),
            };
            inputs.push(format!("{label}={params}"));
            values.push(format!("{label}=:{}:", BASE64_STANDARD.encode(signature)));
        }
        (inputs.join(", "), values.join(", "))
    }

    fn verify(&self, verifier: &Verifier, draft: &Draft) -> Result<Verified, Refusal> {
        self.verify_at(verifier, draft, Duration::from_secs(NOW.cast_unsigned()))
    }

    fn verify_at(
        &self,
        verifier: &Verifier,
        draft: &Draft,
        now: Duration,
    ) -> Result<Verified, Refusal> {
        let (inputs, values) = self.sign(draft);
        let value = BASE64_STANDARD.encode(digest(&SHA256, draft.body));
        let content_digest = format!("sha-256=:{value}:");
        let own: [(&str, &[u8]); 3] = [
            ("Signature-Input", inputs.as_bytes()),
            ("Signature", values.as_bytes()),
            ("Content-Digest", content_digest.as_bytes()),
        ];
        let own = own.into_iter().filter(|_| !draft.labels.is_empty());
        let further = draft.fields.iter();
        let further = further.map(|(name, value)| (name.as_str(), value.as_bytes()));
        let message = Message {
            method: "POST",
            authority: Some(b"API.example:443"),
            target: "/v1/chat?n=1",
            has_body: !draft.body.is_empty(),
            fields: own.chain(further).collect(),
        };
        verifier.verify_at(&message, now)
    }
}

fn draft() -> Draft {
    let params = |key: &str| format!("({COVER});created={NOW};nonce=\"1\";keyid=\"{key}\"");
    Draft {
        classical: params("ed"),
        pq: params("pq"),
        labels: vec!["c", "pq"],
        fields: Vec::new(),
        body: b"hello",
    }
}

#[test]
fn both_signatures_of_one_principal_are_accepted_once() {
    let client = Client::new();
    let verifier = client.verifier();
    let verified = client.verify(&verifier, &draft()).ok().unwrap();
    assert_eq!(verified.principal, "batch");
    let mut body = verified.body.unwrap();
    body.update(b"he");
    body.update(b"llo");
    assert!(body.matches());
    let again = client.verify(&verifier, &draft());
    assert_eq!(again.err(), Some(Refusal::Replayed));
}

/// With another principal in the file, one gets half of what it could have otherwise.
#[test]
fn the_part_of_a_principal_follows_the_keys_in_use() {
    let (one, other) = (Client::new(), Client::new());
    let dir = tempfile::tempdir().unwrap();
    let mut settings = one.verifier().settings.clone();
    settings.keys = dir.path().join("clients.jwks");
    std::fs::write(&settings.keys, one.jwks()).unwrap();
    let verifier = Verifier::load(&settings, &Arc::default()).unwrap();
    let verify = |client: &Client, nonce: usize| {
        let mut draft = draft();
        for params in [&mut draft.classical, &mut draft.pq] {
            *params = params.replace("nonce=\"1\"", &format!("nonce=\"{nonce}\""));
            if std::ptr::eq(client, &raw const other) {
                *params = params.replace("keyid=\"", "keyid=\"o-");
            }
        }
        client.verify(&verifier, &draft).err()
    };
    for nonce in 0..25 {
        assert_eq!(verify(&one, nonce), None);
    }
    let others = other.jwks().replace("\"kid\":\"", "\"kid\":\"o-");
    let others = others.replace("batch", "other");
    let both = one.jwks().replace("]}", ",") + others.trim_start_matches("{\"keys\":[");
    std::fs::write(&settings.keys, both).unwrap();
    assert!(verifier.reload().unwrap());
    assert!(matches!(verify(&one, 25), Some(Refusal::TableFull(_))));
    for nonce in 0..25 {
        assert_eq!(verify(&other, nonce), None, "{nonce}");
    }
    assert!(matches!(verify(&other, 25), Some(Refusal::TableFull(_))));
}

/// From the first moment that a signature counts to the last, 66 seconds less an instant.
#[test]
fn a_signature_is_remembered_for_as_long_as_it_is_fresh() {
    let client = Client::new();
    let created = Duration::from_secs(NOW.cast_unsigned());
    let begin = Duration::from_secs(NOW.cast_unsigned() - 5);
    for wait in 0..20 {
        let verifier = client.verifier();
        let first = begin + Duration::from_millis(wait * 50);
        assert!(client.verify_at(&verifier, &draft(), first).is_ok());
        for after in (0..=65_999).step_by(500).chain([65_999]) {
            let now = begin + Duration::from_millis(after);
            let again = client.verify_at(&verifier, &draft(), now.max(first)).err();
            assert_eq!(again, Some(Refusal::Replayed), "{wait} {after}");
        }
        let late = created + Duration::from_secs(61);
        let late = client.verify_at(&verifier, &draft(), late).err();
        assert_eq!(late, Some(Refusal::Stale));
    }
}

/// A change of a draft, and what comes of it.
type Case = (fn(&mut Draft), Refusal);

#[test]
fn every_other_request_is_refused_for_its_reason() {
    let client = Client::new();
    let cases: [Case; 12] = [
        (|draft| draft.labels.clear(), Refusal::Absent),
        (|draft| draft.labels = vec!["c"], Refusal::OneOfTwo),
        (|draft| draft.labels = vec!["pq"], Refusal::OneOfTwo),
        (
            |draft| draft.pq = draft.pq.replace("nonce=\"1\"", "nonce=\"2\""),
            Refusal::OneOfTwo,
        ),
        (
            |draft| draft.pq = draft.pq.replace("keyid=\"pq\"", "keyid=\"ed\""),
            Refusal::OneOfTwo,
        ),
        (
            |draft| draft.pq = draft.pq.replace("keyid=\"pq\"", "keyid=\"x\""),
            Refusal::UnknownKey,
        ),
        (
            |draft| draft.pq += ";alg=\"ml-dsa-44\"",
            Refusal::WrongAlgorithm,
        ),
        (
            |draft| {
                let old = format!("created={}", NOW - 61);
                let now = format!("created={NOW}");
                draft.pq = draft.pq.replace(&now, &old);
                draft.classical = draft.classical.replace(&now, &old);
            },
            Refusal::Stale,
        ),
        (
            |draft| {
                draft.pq = draft.pq.replace(" \"content-digest\"", "");
                draft.classical = draft.classical.replace(" \"content-digest\"", "");
            },
            Refusal::NotCovered,
        ),
        (
            |draft| {
                let line = ("signature".to_owned(), "c=:AAAA:".to_owned());
                draft.fields.push(line);
            },
            Refusal::ClassicalInvalid,
        ),
        (
            |draft| {
                let line = ("signature".to_owned(), "pq=:AAAA:".to_owned());
                draft.fields.push(line);
            },
            Refusal::PqInvalid,
        ),
        (
            |draft| {
                let line = ("content-digest".to_owned(), "sha-512=:AAAA:".to_owned());
                draft.fields.push(line);
            },
            Refusal::Malformed,
        ),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        let mut draft = draft();
        change(&mut draft);
        let verified = client.verify(&client.verifier(), &draft);
        assert_eq!(verified.err(), Some(expected), "case {index}");
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_a_reason() {
    let good = Client::new().jwks();
    let require = [SignatureKind::Classical, SignatureKind::MlDsa];
    for (text, message) in [
        ("{}".to_owned(), "not a JWK set"),
        (
            "{\"keys\": []}".to_owned(),
            "no principal has a key of each kind",
        ),
        (
            good.replace("\"pq\"", "\"ed\""),
            "another key has the same kid",
        ),
        (
            good.replace("\"x\":", "\"d\":\"secret\",\"x\":"),
            "it is a private key",
        ),
        (
            good.replace("\"pub\":\"", "\"pub\":\"AAAA"),
            "another length",
        ),
        (
            good.replace("ML-DSA-65", "ML-DSA-66"),
            "or require less; left out, because they have no principal, are not for signatures (use) or their kind is not known: key 2 (pq, kty AKP); known are OKP with Ed25519",
        ),
        (good.replace("\"alg\"", "\"alk\""), "alg must be"),
        (
            good.replace("Ed25519", "X25519"),
            "key 1 (ed, kty OKP); known are OKP",
        ),
        (
            good.replace("\"x\":", "\"k\":\"secret\",\"x\":"),
            "it is a private key",
        ),
        (
            good.replacen("batch", "other", 1),
            "no principal has a key of each kind",
        ),
        (good.replacen("batch", "a\\nb", 1), "visible ASCII"),
        (
            good.replace("\"OKP\",\"crv\":\"Ed25519\"", &off_the_curve()),
            "no point of P-256",
        ),
    ] {
        let error = KeySet::parse(Path::new("k.jwks"), text.as_bytes(), &require).err();
        let error = error.unwrap().to_string();
        assert!(error.contains(message), "{message}: {error}");
        assert!(error.starts_with("signature keys k.jwks: ") && !error.contains("secret"));
    }
}

/// The start of a key whose point, with 32 bytes of `x` to follow, is not on the curve.
fn off_the_curve() -> String {
    let y = BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
    format!("\"EC\",\"crv\":\"P-256\",\"y\":\"{y}\"")
}

/// The encodings of the points of order 1, 2, 4 and 8, those that are not canonical included.
#[test]
fn a_key_that_anybody_can_sign_for_is_refused() {
    let order_8 = [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03",
    ];
    let byte = |text: &str, at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    let bytes = |text: &str| -> Vec<u8> {
        let positions = (0..text.len()).step_by(2);
        positions.map(|at| byte(text, at)).collect()
    };
    let of_p = |low: u8| [&[low][..], &[0xff; 30]].concat();
    let mut points = Vec::new();
    for (rest, last) in [
        ([&[0][..], &[0; 30]].concat(), 0),
        ([&[1][..], &[0; 30]].concat(), 0),
        (of_p(0xec), 0x7f),
        (of_p(0xed), 0x7f),
        (of_p(0xee), 0x7f),
        (bytes(order_8[0]), 0x05),
        (bytes(order_8[1]), 0x7a),
    ] {
        points.push([&rest[..], &[last]].concat());
        points.push([&rest[..], &[last | 0x80]].concat());
    }
    let parse = |point: &[u8]| {
        let x = BASE64_URL_SAFE_NO_PAD.encode(point);
        let text = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"ed","principal":"batch","x":"{x}"}}]}}"#
        );
        KeySet::parse(Path::new("k"), text.as_bytes(), &[SignatureKind::Classical])
    };
    for point in points {
        let error = parse(&point).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains("small order"), "{point:02x?}: {error}");
    }
    assert!(parse(Client::new().ed25519.public_key().as_ref()).is_ok());
}
