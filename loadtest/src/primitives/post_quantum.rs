//! Signatures aws-lc-rs does not have: FN-DSA (Falcon; crate fn-dsa by its designer) and SLH-DSA (FIPS 205).

use std::time::Duration;

use fips205::traits::{KeyGen, SerDes, Signer, Verifier};
use fn_dsa::{
    CryptoRng, DOMAIN_NONE, FN_DSA_LOGN_512, FN_DSA_LOGN_1024, HASH_ID_RAW, KeyPairGenerator,
    KeyPairGeneratorStandard, RngCore, RngError, SigningKey, SigningKeyStandard, VerifyingKey,
    VerifyingKeyStandard, sign_key_size, signature_size, vrfy_key_size,
};

use super::row::{Algorithm, Row};
use super::signing::MESSAGE;
use super::timing::time;
use crate::versions;

pub(super) fn all() -> Vec<Algorithm> {
    vec![
        Algorithm::new("Falcon-512", |t| {
            falcon("Falcon-512 (FN-DSA)", FN_DSA_LOGN_512, t)
        }),
        Algorithm::new("Falcon-1024", |t| {
            falcon("Falcon-1024 (FN-DSA)", FN_DSA_LOGN_1024, t)
        }),
        Algorithm::new("SLH-DSA-SHA2-128s", |t| {
            slh_dsa::<fips205::slh_dsa_sha2_128s::KG>("SLH-DSA-SHA2-128s", t)
        }),
        Algorithm::new("SLH-DSA-SHA2-128f", |t| {
            slh_dsa::<fips205::slh_dsa_sha2_128f::KG>("SLH-DSA-SHA2-128f", t)
        }),
        Algorithm::new("SLH-DSA-SHA2-192s", |t| {
            slh_dsa::<fips205::slh_dsa_sha2_192s::KG>("SLH-DSA-SHA2-192s", t)
        }),
        Algorithm::new("SLH-DSA-SHA2-256s", |t| {
            slh_dsa::<fips205::slh_dsa_sha2_256s::KG>("SLH-DSA-SHA2-256s", t)
        }),
    ]
}

/// The system's generator behind the interface fn-dsa asks for.
struct SystemRng;

impl CryptoRng for SystemRng {}

impl RngCore for SystemRng {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    #[expect(
        clippy::expect_used,
        reason = "the interface has no error, and without randomness there is no key"
    )]
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the system's random numbers");
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn falcon(name: &str, degree: u32, budget: Duration) -> Row {
    let generate = || {
        let mut keys = (
            vec![0; sign_key_size(degree)],
            vec![0; vrfy_key_size(degree)],
        );
        KeyPairGeneratorStandard::default().keygen(
            degree,
            &mut SystemRng,
            &mut keys.0,
            &mut keys.1,
        );
        keys
    };
    let (private, public) = generate();
    let mut signer = SigningKeyStandard::decode(&private).expect("signing key");
    let verifier = VerifyingKeyStandard::decode(&public).expect("verifying key");
    let mut sign = || {
        let mut signature = vec![0; signature_size(degree)];
        signer.sign(
            &mut SystemRng,
            &DOMAIN_NONE,
            &HASH_ID_RAW,
            &MESSAGE,
            &mut signature,
        );
        signature
    };
    let signature = sign();
    let verify = || verifier.verify(&signature, &DOMAIN_NONE, &HASH_ID_RAW, &MESSAGE);
    assert!(verify(), "{name}: its own signature verifies");
    Row {
        name: name.into(),
        implementation: versions::of("fn-dsa"),
        keygen: Some(time(budget, || (), |()| generate())),
        sign: Some(time(budget, || (), |()| sign())),
        verify: Some(time(budget, || (), |()| verify())),
        public_key: public.len(),
        signature: Some(signature.len()),
        ..Row::default()
    }
}

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn slh_dsa<K>(name: &str, budget: Duration) -> Row
where
    K: KeyGen,
    K::PrivateKey: Signer,
    <K::PrivateKey as Signer>::Signature: AsRef<[u8]>,
    K::PublicKey: Verifier<Signature = <K::PrivateKey as Signer>::Signature> + SerDes + Clone,
    <K::PublicKey as SerDes>::ByteArray: AsRef<[u8]>,
{
    let (public, private) = K::try_keygen().expect("key generation");
    let sign = || private.try_sign(&MESSAGE, b"", true).expect("signature");
    let signature = sign();
    assert!(
        public.verify(&MESSAGE, &signature, b""),
        "{name}: its own signature verifies"
    );
    Row {
        name: name.into(),
        implementation: versions::of("fips205"),
        keygen: Some(time(budget, || (), |()| K::try_keygen())),
        sign: Some(time(budget, || (), |()| sign())),
        verify: Some(time(
            budget,
            || (),
            |()| public.verify(&MESSAGE, &signature, b""),
        )),
        public_key: public.clone().into_bytes().as_ref().len(),
        signature: Some(signature.as_ref().len()),
        ..Row::default()
    }
}
