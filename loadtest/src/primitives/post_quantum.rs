//! Signatures aws-lc-rs does not have: FN-DSA (Falcon; crate fn-dsa by its designer) and SLH-DSA (FIPS 205).
#![expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]

use fips205::traits::{KeyGen, SerDes, Signer, Verifier};
use fips205::{slh_dsa_sha2_128f, slh_dsa_sha2_128s, slh_dsa_sha2_192s, slh_dsa_sha2_256s};
use fn_dsa::{
    CryptoRng, DOMAIN_NONE, FN_DSA_LOGN_512, FN_DSA_LOGN_1024, HASH_ID_RAW, KeyPairGenerator,
    KeyPairGeneratorStandard, RngCore, RngError, SigningKey, SigningKeyStandard, VerifyingKey,
    VerifyingKeyStandard, sign_key_size, signature_size, vrfy_key_size,
};

use super::row::{Algorithm, Row};
use super::signing::{MESSAGE, row};

pub(super) fn all() -> Vec<Algorithm> {
    vec![
        falcon("Falcon-512", FN_DSA_LOGN_512),
        falcon("Falcon-1024", FN_DSA_LOGN_1024),
        slh_dsa::<slh_dsa_sha2_128s::KG>("SLH-DSA-SHA2-128s"),
        slh_dsa::<slh_dsa_sha2_128f::KG>("SLH-DSA-SHA2-128f"),
        slh_dsa::<slh_dsa_sha2_192s::KG>("SLH-DSA-SHA2-192s"),
        slh_dsa::<slh_dsa_sha2_256s::KG>("SLH-DSA-SHA2-256s"),
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

    /// Without an error, as the interface has it: without randomness there is no key.
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the system's random numbers");
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

fn falcon(name: &'static str, degree: u32) -> Algorithm {
    let generate = move || {
        let mut private = vec![0; sign_key_size(degree)];
        let mut public = vec![0; vrfy_key_size(degree)];
        let mut generator = KeyPairGeneratorStandard::default();
        generator.keygen(degree, &mut SystemRng, &mut private, &mut public);
        (private, public)
    };
    Algorithm::new(name, move |budget| {
        let (private, public) = generate();
        let mut signer = SigningKeyStandard::decode(&private).expect("signing key");
        let verifier = VerifyingKeyStandard::decode(&public).expect("verifying key");
        let sign = || {
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
        let verify =
            |signature: &Vec<u8>| verifier.verify(signature, &DOMAIN_NONE, &HASH_ID_RAW, &MESSAGE);
        let name = format!("{name} (FN-DSA)");
        Row {
            public_key: public.len(),
            ..row(&name, "fn-dsa", budget, generate, sign, verify)
        }
    })
}

fn slh_dsa<K>(name: &'static str) -> Algorithm
where
    K: KeyGen,
    K::PrivateKey: Signer,
    <K::PrivateKey as Signer>::Signature: AsRef<[u8]>,
    K::PublicKey: Verifier<Signature = <K::PrivateKey as Signer>::Signature> + SerDes + Clone,
    <K::PublicKey as SerDes>::ByteArray: AsRef<[u8]>,
{
    Algorithm::new(name, move |budget| {
        let generate = || K::try_keygen().expect("key generation");
        let (public, private) = generate();
        let sign = || private.try_sign(&MESSAGE, b"", true).expect("signature");
        let verify = |signature: &_| public.verify(&MESSAGE, signature, b"");
        Row {
            public_key: public.clone().into_bytes().as_ref().len(),
            ..row(name, "fips205", budget, generate, sign, verify)
        }
    })
}
