//! Key exchange: the groups of TLS through rustls, as a handshake uses them, and ML-KEM by itself.
#![expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]

use aws_lc_rs::kem::{
    Algorithm as Kem, AlgorithmId, DecapsulationKey, ML_KEM_512, ML_KEM_768, ML_KEM_1024,
};

use super::row::{Algorithm, Row};
use super::timing::{time, time_prepared};
use crate::tls::Group;
use crate::versions;

pub(super) fn all() -> Vec<Algorithm> {
    vec![
        group("X25519", Group::X25519),
        group("ECDH P-256", Group::SECP256R1),
        group("ECDH P-384", Group::SECP384R1),
        kem("ML-KEM-512", &ML_KEM_512),
        kem("ML-KEM-768", &ML_KEM_768),
        kem("ML-KEM-1024", &ML_KEM_1024),
        group("X25519MLKEM768", Group::X25519MLKEM768),
        group("SecP256r1MLKEM768", Group::SECP256R1MLKEM768),
        group("SecP384r1MLKEM1024", Group::SECP384R1MLKEM1024),
    ]
}

fn group(name: &'static str, group: Group) -> Algorithm {
    Algorithm::new(name, move |budget| {
        let exchange = group.exchange();
        let start = || exchange.start().expect("key generation");
        let answer = |share: &[u8]| exchange.start_and_complete(share).expect("agreement");
        let pair = || {
            let share = start();
            let response = answer(share.pub_key());
            (share, response.pub_key)
        };
        let (share, response) = pair();
        Row {
            name: name.into(),
            implementation: format!("{}, {}", versions::of("rustls"), versions::of("aws-lc-rs")),
            keygen: Some(time(budget, start)),
            encapsulate: Some(time(budget, || answer(share.pub_key()))),
            decapsulate: Some(time_prepared(budget, pair, |(share, response)| {
                share.complete(&response).expect("agreement")
            })),
            public_key: share.pub_key().len(),
            ciphertext: Some(response.len()),
            ..Row::default()
        }
    })
}

fn kem(name: &'static str, kem: &'static Kem<AlgorithmId>) -> Algorithm {
    Algorithm::new(name, move |budget| {
        let generate = || DecapsulationKey::generate(kem).expect("key generation");
        let private = generate();
        let public = private.encapsulation_key().expect("public key");
        let encapsulate = || public.encapsulate().expect("encapsulation");
        let (ciphertext, ours) = encapsulate();
        let bytes = ciphertext.as_ref();
        let decapsulate = || private.decapsulate(bytes.into()).expect("decapsulation");
        assert_eq!(
            ours.as_ref(),
            decapsulate().as_ref(),
            "{name}: both sides hold the same secret"
        );
        Row {
            name: name.into(),
            implementation: versions::of("aws-lc-rs"),
            keygen: Some(time(budget, generate)),
            encapsulate: Some(time(budget, encapsulate)),
            decapsulate: Some(time(budget, decapsulate)),
            public_key: public.key_bytes().expect("public key").as_ref().len(),
            ciphertext: Some(bytes.len()),
            ..Row::default()
        }
    })
}
