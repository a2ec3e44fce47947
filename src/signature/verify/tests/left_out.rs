//! Keys of other kinds in a set.

use super::*;

/// RFC 7517 section 5: a set that others read too may have keys of other kinds.
#[test]
fn keys_of_kinds_that_are_not_known_are_left_out_with_a_warning() {
    let require = [SignatureKind::Classical, SignatureKind::MlDsa];
    let good = Client::new().jwks();
    let parse = |text: &str| KeySet::parse(Path::new("k"), text.as_bytes(), &require);
    assert_eq!(parse(&good).unwrap().warning(), None);
    let rsa = r#"{"kty":"RSA","kid":"mail","n":"modulus","e":"AQAB"}"#;
    let p384 = r#"{"kty":"EC","crv":"P-384","kid":"old","principal":"batch","x":"AA","y":"AA"}"#;
    let with = |more: &str| good.replacen('[', &format!("[{more},"), 1);
    let set = parse(&with(&format!("{rsa},{p384}"))).unwrap();
    assert_eq!(set.ids(), parse(&good).unwrap().ids());
    assert_eq!(
        set.warning().unwrap(),
        "signature keys k; left out, because their kind is not known: key 1 (mail, kty RSA), key 2 (old, kty EC); known are OKP with Ed25519, EC with P-256 and AKP with ML-DSA-44, ML-DSA-65 or ML-DSA-87"
    );
    let set = parse(&with(&[rsa; 7].join(","))).unwrap();
    assert!(
        set.warning()
            .unwrap()
            .contains("key 5 (mail, kty RSA) and 2 more; known")
    );
    let private = rsa.replace("\"e\"", "\"d\":\"x\",\"e\"");
    let error = parse(&with(&private)).err().unwrap().to_string();
    assert!(
        error.contains("key 1 (mail): it is a private key"),
        "{error}"
    );
    let only = format!("{{\"keys\":[{rsa}]}}");
    let error = parse(&only).err().unwrap().to_string();
    assert!(
        error.contains("nobody could sign") && error.contains("kty RSA"),
        "{error}"
    );
}
