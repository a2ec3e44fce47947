//! Keys of other kinds in a set.

use super::*;

/// RFC 7517 section 5: a set that others read too may have keys of other kinds.
#[test]
fn keys_of_kinds_that_are_not_known_are_left_out_with_a_warning() {
    let require = [SignatureKind::Classical, SignatureKind::MlDsa];
    let good = Client::new().jwks();
    let parse = |text: &str| KeySet::parse(Path::new("k"), text.as_bytes(), &require);
    assert_eq!(parse(&good).unwrap().warning(), None);
    assert!(parse(&format!("\u{feff}{good}")).is_ok());
    let rsa = r#"{"kty":"RSA","kid":"mail","n":"modulus","e":"AQAB"}"#;
    let p384 = r#"{"kty":"EC","crv":"P-384","kid":"old","principal":"batch","x":"AA","y":"AA"}"#;
    let with = |more: &str| good.replacen('[', &format!("[{more},"), 1);
    let set = parse(&with(&format!("{rsa},{p384}"))).unwrap();
    assert_eq!(set.ids(), parse(&good).unwrap().ids());
    assert_eq!(
        set.warning().unwrap(),
        "signature keys k; left out, because they have no principal, are not for signatures (use) or their kind is not known: key 1 (mail, kty RSA), key 2 (old, kty EC); known are OKP with Ed25519, EC with P-256 and AKP with ML-DSA-44, ML-DSA-65 or ML-DSA-87"
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

/// None of what a stranger's key may look like refuses the file; a private or symmetric one does, whatever else it has.
#[test]
fn a_key_of_somebody_else_never_refuses_the_set() {
    let require = [SignatureKind::Classical, SignatureKind::MlDsa];
    let good = Client::new().jwks();
    let with = |more: &str| {
        let set = good.replacen("]}", &format!(",{more}]}}"), 1);
        KeySet::parse(Path::new("k"), set.as_bytes(), &require)
    };
    for (foreign, named) in [
        (r#"{"kty":"RSA","kid":null,"n":"x"}"#, "key 3 (kty RSA)"),
        (r#"{"kty":"RSA","kid":7,"n":"x"}"#, "key 3 (kty RSA)"),
        (r#"{"kid":"a"}"#, "key 3 (a)"),
        ("{}", "key 3 (no kid and no kty)"),
        (
            r#"{"kty":"EC","crv":"P-256","kid":"a","x":1}"#,
            "key 3 (a, kty EC)",
        ),
        (
            r#"{"kty":"EC","crv":["P-256"],"principal":"b","kid":"a"}"#,
            "key 3 (a, kty EC)",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AA"}"#,
            "key 3 (a, kty OKP)",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","principal":"b","use":"enc","x":"AA"}"#,
            "key 3 (a, kty OKP)",
        ),
    ] {
        let set = with(foreign).unwrap();
        let warning = set.warning().unwrap();
        assert!(warning.contains(named), "{warning}");
        assert_eq!(set.ids(), ["ed", "pq"]);
        for secret in ["d", "priv", "k"] {
            let private = foreign.replacen('{', &format!("{{\"{secret}\":\"AA\",\"z\":0,"), 1);
            let private = private.replace(",}", "}");
            let error = with(&private).err().unwrap().to_string();
            assert!(
                error.contains("key 3") && error.contains("a private key"),
                "{error}"
            );
        }
    }
    for (wrong, why) in [
        (
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","principal":"b","x":1}"#,
            "key 3 (a): its public part is missing",
        ),
        (
            r#"{"kty":"OKP","crv":"Ed25519","kid":"a","principal":7,"x":"AA"}"#,
            "key 3 (a): ",
        ),
        (
            r#"{"kty":"OKP","principal":"b"}"#,
            "key 3 (no kid): crv must be",
        ),
    ] {
        let error = with(wrong).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
}
