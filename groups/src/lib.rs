//! SecP384r1MLKEM1024, which rustls lacks, for the sidecar and for the load test that measures it.
//!
//! Sources: draft-ietf-tls-ecdhe-mlkem (shares and secrets of the hybrids), FIPS 203 (ML-KEM).

use rustls::crypto::aws_lc_rs::kx_group as stock;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// The group, as rustls takes it.
pub static SECP384R1_MLKEM1024: &dyn SupportedKxGroup = &Secp384r1MlKem1024;

/// Bytes of an uncompressed P-384 point: the classical half comes first in share and secret.
const P384_SHARE: usize = 97;
/// Bytes of an ML-KEM-1024 encapsulation key, and of its ciphertext.
const MLKEM1024_SHARE: usize = 1568;

/// P-384 and ML-KEM-1024, code point 0x11ed, composed of rustls's own halves.
#[derive(Debug)]
struct Secp384r1MlKem1024;

impl SupportedKxGroup for Secp384r1MlKem1024 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classical = stock::SECP384R1.start()?;
        let post_quantum = stock::MLKEM1024.start()?;
        let share = [classical.pub_key(), post_quantum.pub_key()].concat();
        Ok(Box::new(Active {
            classical,
            post_quantum,
            share,
        }))
    }

    /// A KEM server cannot start before it has the client's key: it encapsulates to it.
    fn start_and_complete(&self, client_share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (point, key) = split(client_share)?;
        let classical = stock::SECP384R1.start_and_complete(point)?;
        let post_quantum = stock::MLKEM1024.start_and_complete(key)?;
        Ok(CompletedKeyExchange {
            group: self.name(),
            pub_key: [classical.pub_key, post_quantum.pub_key].concat(),
            secret: joined(&classical.secret, &post_quantum.secret),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        // Not `Unknown(0x11ed)`: equality is by variant, and rustls is about to name this value.
        NamedGroup::from(0x11ed)
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

/// The client's side between its share and the server's.
struct Active {
    classical: Box<dyn ActiveKeyExchange>,
    post_quantum: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, server_share: &[u8]) -> Result<SharedSecret, Error> {
        let (point, ciphertext) = split(server_share)?;
        let classical = self.classical.complete(point)?;
        let post_quantum = self.post_quantum.complete(ciphertext)?;
        Ok(joined(&classical, &post_quantum))
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.classical.group(), self.classical.pub_key()))
    }

    fn complete_hybrid_component(
        self: Box<Self>,
        server_share: &[u8],
    ) -> Result<SharedSecret, Error> {
        self.classical.complete(server_share)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        Secp384r1MlKem1024.name()
    }
}

fn split(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    if share.len() != P384_SHARE + MLKEM1024_SHARE {
        return Err(PeerMisbehaved::InvalidKeyShare.into());
    }
    Ok(share.split_at(P384_SHARE))
}

fn joined(classical: &SharedSecret, post_quantum: &SharedSecret) -> SharedSecret {
    let both = [classical.secret_bytes(), post_quantum.secret_bytes()].concat();
    SharedSecret::from(both)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_sides_of_the_own_hybrid_reach_the_same_secret() {
        let client = SECP384R1_MLKEM1024.start().unwrap();
        let server = SECP384R1_MLKEM1024
            .start_and_complete(client.pub_key())
            .unwrap();
        assert_eq!(server.pub_key.len(), P384_SHARE + MLKEM1024_SHARE);
        let secret = client.complete(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 48 + 32);
    }

    #[test]
    fn a_share_of_the_wrong_length_is_the_peers_misbehaviour() {
        let short = vec![4; P384_SHARE + MLKEM1024_SHARE - 1];
        assert_eq!(
            SECP384R1_MLKEM1024.start_and_complete(&short).err(),
            Some(PeerMisbehaved::InvalidKeyShare.into())
        );
    }

    #[test]
    fn both_halves_of_a_share_are_as_long_as_the_draft_says() {
        let client = SECP384R1_MLKEM1024.start().unwrap();
        assert_eq!(client.pub_key().len(), 97 + 1568);
    }

    #[test]
    fn a_share_about_as_long_as_its_classical_half_is_refused() {
        assert!(SECP384R1_MLKEM1024.start_and_complete(&[4; 96]).is_err());
        assert!(SECP384R1_MLKEM1024.start_and_complete(&[4; 98]).is_err());
    }
}
