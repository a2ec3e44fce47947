//! Signatures of aws-lc-rs: RSA, ECDSA, Ed25519, ML-DSA. The message is a digest-sized 130 bytes, as the
//! CertificateVerify of TLS 1.3 signs.

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
        Algorithm::new("RSA-2048", rsa),
        Algorithm::new("ECDSA P-256", |t| {
            ecdsa(
                "ECDSA P-256",
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                &ECDSA_P256_SHA256_ASN1,
                t,
            )
        }),
        Algorithm::new("ECDSA P-384", |t| {
            ecdsa(
                "ECDSA P-384",
                &ECDSA_P384_SHA384_ASN1_SIGNING,
                &ECDSA_P384_SHA384_ASN1,
                t,
            )
        }),
        Algorithm::new("Ed25519", ed25519),
        Algorithm::new("ML-DSA-44", |t| {
            ml_dsa("ML-DSA-44", &ML_DSA_44_SIGNING, &ML_DSA_44, t)
        }),
        Algorithm::new("ML-DSA-65", |t| {
            ml_dsa("ML-DSA-65", &ML_DSA_65_SIGNING, &ML_DSA_65, t)
        }),
        Algorithm::new("ML-DSA-87", |t| {
            ml_dsa("ML-DSA-87", &ML_DSA_87_SIGNING, &ML_DSA_87, t)
        }),
    ]
}

/// What all four share: a key, how to sign with it, how to verify.
fn row<S: AsRef<[u8]>>(
    name: &str,
    budget: Duration,
    generate: impl Fn(),
    sign: impl Fn() -> S,
    public: &UnparsedPublicKey<Vec<u8>>,
) -> Row {
    let signature = sign();
    assert!(
        public.verify(&MESSAGE, signature.as_ref()).is_ok(),
        "{name}: its own signature verifies"
    );
    Row {
        name: name.into(),
        implementation: versions::of("aws-lc-rs"),
        keygen: Some(time(budget, || (), |()| generate())),
        sign: Some(time(budget, || (), |()| sign())),
        verify: Some(time(
            budget,
            || (),
            |()| public.verify(&MESSAGE, signature.as_ref()),
        )),
        public_key: AsRef::<[u8]>::as_ref(public).len(),
        signature: Some(signature.as_ref().len()),
        ..Row::default()
    }
}

fn public(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &impl KeyPair,
) -> UnparsedPublicKey<Vec<u8>> {
    UnparsedPublicKey::new(algorithm, key.public_key().as_ref().to_vec())
}

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn rsa(budget: Duration) -> Row {
    let generate = || RsaKeyPair::generate(KeySize::Rsa2048).expect("key generation");
    let key = generate();
    let sign = || {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(
            &RSA_PSS_SHA256,
            &SystemRandom::new(),
            &MESSAGE,
            &mut signature,
        )
        .expect("signature");
        signature
    };
    row(
        "RSA-2048",
        budget,
        || drop(generate()),
        sign,
        &public(&RSA_PSS_2048_8192_SHA256, &key),
    )
}

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn ecdsa(
    name: &str,
    signing: &'static EcdsaSigningAlgorithm,
    verifying: &'static dyn VerificationAlgorithm,
    budget: Duration,
) -> Row {
    let generate = || EcdsaKeyPair::generate(signing).expect("key generation");
    let key = generate();
    let sign = || key.sign(&SystemRandom::new(), &MESSAGE).expect("signature");
    row(
        name,
        budget,
        || drop(generate()),
        sign,
        &public(verifying, &key),
    )
}

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn ed25519(budget: Duration) -> Row {
    let generate = || Ed25519KeyPair::generate().expect("key generation");
    let key = generate();
    row(
        "Ed25519",
        budget,
        || drop(generate()),
        || key.sign(&MESSAGE),
        &public(&ED25519, &key),
    )
}

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn ml_dsa(
    name: &str,
    signing: &'static PqdsaSigningAlgorithm,
    verifying: &'static dyn VerificationAlgorithm,
    budget: Duration,
) -> Row {
    let generate = || PqdsaKeyPair::generate(signing).expect("key generation");
    let key = generate();
    let sign = || {
        let mut signature = vec![0; signing.signature_len()];
        let length = key.sign(&MESSAGE, &mut signature).expect("signature");
        signature.truncate(length);
        signature
    };
    row(
        name,
        budget,
        || drop(generate()),
        sign,
        &public(verifying, &key),
    )
}
