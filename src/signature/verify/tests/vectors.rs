//! Vectors that others published: RFC 9421 for Ed25519 and ECDSA,
//! draft-skokan-httpbis-message-signatures-ml-dsa for ML-DSA.

use std::fs;
use std::path::{Path, PathBuf};

use sfv::{Dictionary, InnerList, ListEntry, Parser};

use super::{KeySet, Message, SignatureKind, signature_base};

/// The request of RFC 9421 B.2.
const REQUEST: Message<'static> = Message {
    method: "POST",
    authority: Some(b"example.com"),
    target: "/foo?param=Value&Pet=dog",
    has_body: true,
    fields: Vec::new(),
};
const FIELDS: [(&str, &[u8]); 3] = [
    ("Date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
    ("Content-Type", b"application/json"),
    ("Content-Length", b"18"),
];

struct Vector {
    key_id: String,
    keys: KeySet,
    kind: SignatureKind,
    base: Vec<u8>,
    input: InnerList,
    signature: Vec<u8>,
}

fn read(name: &str) -> Vector {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/httpsig");
    let file = |part: &str| -> PathBuf { directory.join(name).join(part) };
    let mut jwk: serde_json::Value =
        serde_json::from_slice(&fs::read(file("key.jwk")).unwrap()).unwrap();
    jwk["principal"] = "them".into();
    let key_id = jwk["kid"].as_str().unwrap().to_owned();
    let kind = match jwk["kty"].as_str() {
        Some("AKP") => SignatureKind::MlDsa,
        _ => SignatureKind::Classical,
    };
    let set = serde_json::json!({ "keys": [jwk] }).to_string();
    let fields = fs::read_to_string(file("fields")).unwrap();
    let member = |field: &str| -> ListEntry {
        let value = fields.lines().find_map(|line| line.strip_prefix(field));
        let parsed: Dictionary = Parser::new(value.unwrap()).parse().unwrap();
        parsed.into_iter().next().unwrap().1
    };
    let ListEntry::InnerList(input) = member("Signature-Input: ") else {
        panic!("{name}: no list of components");
    };
    let ListEntry::Item(signature) = member("Signature: ") else {
        panic!("{name}: no signature");
    };
    let signature = signature.bare_item.as_byte_sequence().unwrap().to_vec();
    let base = fs::read_to_string(file("base")).unwrap();
    Vector {
        key_id,
        keys: KeySet::parse(Path::new("k"), set.as_bytes(), &[kind]).unwrap(),
        kind,
        base: base.trim_end_matches('\n').as_bytes().to_vec(),
        input,
        signature,
    }
}

#[test]
fn published_signatures_verify_and_no_others() {
    for (name, kind) in [
        ("ed25519", SignatureKind::Classical),
        ("ecdsa-p256-sha256", SignatureKind::Classical),
        ("ml-dsa-44", SignatureKind::MlDsa),
        ("ml-dsa-65", SignatureKind::MlDsa),
        ("ml-dsa-87", SignatureKind::MlDsa),
    ] {
        let vector = read(name);
        let key = vector.keys.get(&vector.key_id).unwrap();
        assert_eq!((vector.kind, key.kind), (kind, kind), "{name}");
        assert_eq!(key.algorithm, name);
        assert!(key.verifies(&vector.base, &vector.signature), "{name}");
        let mut base = vector.base.clone();
        *base.last_mut().unwrap() ^= 1;
        assert!(!key.verifies(&base, &vector.signature), "{name}: base");
        for at in [0, vector.signature.len() / 2, vector.signature.len() - 1] {
            let mut signature = vector.signature.clone();
            signature[at] ^= 1;
            assert!(!key.verifies(&vector.base, &signature), "{name}: {at}");
        }
        let short = &vector.signature[..vector.signature.len() - 1];
        assert!(!key.verifies(&vector.base, short), "{name}: short");
    }
}

/// The one of ECDSA signs a response.
#[test]
fn the_base_of_a_request_is_the_published_one() {
    for name in ["ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"] {
        let vector = read(name);
        let message = Message {
            fields: FIELDS.to_vec(),
            ..REQUEST
        };
        let components = vector.input.items.iter();
        let components: Vec<String> = components
            .map(|item| item.bare_item.as_string().unwrap().as_str().to_owned())
            .collect();
        let base = signature_base(&message, &components, &vector.input).unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&base), text(&vector.base), "{name}");
    }
}
