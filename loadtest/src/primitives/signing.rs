//! Signatures of aws-lc-rs: RSA, ECDSA, Ed25519, ML-DSA. The message is a digest-sized 130 bytes, as the
//! CertificateVerify of TLS 1.3 signs.
#![expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87,
    ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_SHA256, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
};

use super::row::{Algorithm, Row};
use super::timing::time;
use crate::versions;
use std::time::Duration;

pub(super) const MESSAGE: [u8; 130] = [0x20; 130];

pub(super) fn all() -> Vec<Algorithm> {
    vec![
        rsa("RSA-2048", KeySize::Rsa2048),
        ecdsa(
            "ECDSA P-256",
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            &ECDSA_P256_SHA256_ASN1,
        ),
        ecdsa(
            "ECDSA P-384",
            &ECDSA_P384_SHA384_ASN1_SIGNING,
            &ECDSA_P384_SHA384_ASN1,
        ),
        ed25519("Ed25519"),
        ml_dsa("ML-DSA-44", &ML_DSA_44_SIGNING, &ML_DSA_44),
        ml_dsa("ML-DSA-65", &ML_DSA_65_SIGNING, &ML_DSA_65),
        ml_dsa("ML-DSA-87", &ML_DSA_87_SIGNING, &ML_DSA_87),
    ]
}

/// What all signatures share: how a key is made, how to sign with one, how to verify.
pub(super) fn row<K, S: AsRef<[u8]>>(
    name: &str,
    implementation: &str,
    budget: Duration,
    generate: impl FnMut() -> K,
    mut sign: impl FnMut() -> S,
    verify: impl Fn(&S) -> bool,
) -> Row {
    let signature = sign();
    assert!(verify(&signature), "{name}: its own signature verifies");
    Row {
        name: name.into(),
        implementation: versions::of(implementation),
        keygen: Some(time(budget, generate)),
        sign: Some(time(budget, sign)),
        verify: Some(time(budget, || verify(&signature))),
        signature: Some(signature.as_ref().len()),
        ..Row::default()
    }
}

/// A row of aws-lc-rs.
fn algorithm<K: KeyPair, S: AsRef<[u8]>>(
    name: &'static str,
    verifying: &'static dyn VerificationAlgorithm,
    generate: impl Fn() -> K + 'static,
    sign: impl Fn(&K) -> S + 'static,
) -> Algorithm {
    Algorithm::new(name, move |budget| {
        let key = generate();
        let public = UnparsedPublicKey::new(verifying, key.public_key().as_ref());
        let verify = |signature: &S| public.verify(&MESSAGE, signature.as_ref()).is_ok();
        let row = row(
            name,
            "aws-lc-rs",
            budget,
            || drop(generate()),
            || sign(&key),
            verify,
        );
        Row {
            public_key: public.as_ref().len(),
            ..row
        }
    })
}

fn rsa(name: &'static str, size: KeySize) -> Algorithm {
    let generate = move || RsaKeyPair::generate(size).expect("key generation");
    algorithm(name, &RSA_PSS_2048_8192_SHA256, generate, |key| {
        let mut signature = vec![0; key.public_modulus_len()];
        let random = SystemRandom::new();
        key.sign(&RSA_PSS_SHA256, &random, &MESSAGE, &mut signature)
            .expect("signature");
        signature
    })
}

fn ecdsa(
    name: &'static str,
    signing: &'static EcdsaSigningAlgorithm,
    verifying: &'static dyn VerificationAlgorithm,
) -> Algorithm {
    let generate = move || EcdsaKeyPair::generate(signing).expect("key generation");
    algorithm(name, verifying, generate, |key| {
        key.sign(&SystemRandom::new(), &MESSAGE).expect("signature")
    })
}

fn ed25519(name: &'static str) -> Algorithm {
    let generate = || Ed25519KeyPair::generate().expect("key generation");
    algorithm(name, &ED25519, generate, |key| key.sign(&MESSAGE))
}

fn ml_dsa(
    name: &'static str,
    signing: &'static PqdsaSigningAlgorithm,
    verifying: &'static dyn VerificationAlgorithm,
) -> Algorithm {
    let generate = move || PqdsaKeyPair::generate(signing).expect("key generation");
    algorithm(name, verifying, generate, move |key| {
        let mut signature = vec![0; signing.signature_len()];
        let length = key.sign(&MESSAGE, &mut signature).expect("signature");
        signature.truncate(length);
        signature
    })
}
