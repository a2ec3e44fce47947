//! Key exchange: the groups of TLS through rustls, as a handshake uses them, and ML-KEM by itself.

use std::time::Duration;

use aws_lc_rs::kem::{
    Algorithm as Kem, AlgorithmId, DecapsulationKey, ML_KEM_512, ML_KEM_768, ML_KEM_1024,
};

use super::row::{Algorithm, Row};
use super::timing::time;
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

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn group(name: &'static str, group: Group) -> Algorithm {
    Algorithm::new(name, move |budget: Duration| {
        let exchange = group.exchange();
        let share = exchange.start().expect("key generation");
        let response = exchange
            .start_and_complete(share.pub_key())
            .expect("agreement");
        let mut row = Row {
            name: name.into(),
            implementation: format!("{}, {}", versions::of("rustls"), versions::of("aws-lc-rs")),
            public_key: share.pub_key().len(),
            ciphertext: Some(response.pub_key.len()),
            ..Row::default()
        };
        row.keygen = Some(time(budget, || (), |()| exchange.start()));
        row.encapsulate = Some(time(
            budget,
            || (),
            |()| {
                exchange
                    .start_and_complete(share.pub_key())
                    .expect("agreement")
            },
        ));
        let pair = || {
            let share = exchange.start().expect("key generation");
            let response = exchange
                .start_and_complete(share.pub_key())
                .expect("agreement");
            (share, response.pub_key)
        };
        row.decapsulate = Some(time(budget, pair, |(share, response)| {
            share.complete(&response).expect("agreement")
        }));
        row
    })
}

#[expect(
    clippy::expect_used,
    reason = "fixed inputs of the tool's own; a failure is a broken build of the library"
)]
fn kem(name: &'static str, kem: &'static Kem<AlgorithmId>) -> Algorithm {
    Algorithm::new(name, move |budget: Duration| {
        let private = DecapsulationKey::generate(kem).expect("key generation");
        let public = private.encapsulation_key().expect("public key");
        let (ciphertext, ours) = public.encapsulate().expect("encapsulation");
        let bytes = ciphertext.as_ref().to_vec();
        let theirs = private
            .decapsulate(bytes.as_slice().into())
            .expect("decapsulation");
        assert_eq!(
            ours.as_ref(),
            theirs.as_ref(),
            "{name}: both sides hold the same secret"
        );
        Row {
            name: name.into(),
            implementation: versions::of("aws-lc-rs"),
            keygen: Some(time(budget, || (), |()| DecapsulationKey::generate(kem))),
            encapsulate: Some(time(budget, || (), |()| public.encapsulate())),
            decapsulate: Some(time(
                budget,
                || (),
                |()| private.decapsulate(bytes.as_slice().into()),
            )),
            public_key: public.key_bytes().expect("public key").as_ref().len(),
            ciphertext: Some(bytes.len()),
            ..Row::default()
        }
    })
}
