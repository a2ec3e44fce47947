//! SecP384r1MLKEM1024 (0x11ed, draft-ietf-tls-ecdhe-mlkem), which rustls lacks, composed of its P-384 and ML-KEM-1024.
//! P-384 comes first, in the shares (97 then 1568 bytes) and in the secret (48 then 32).

use rustls::crypto::aws_lc_rs::kx_group::{MLKEM1024, SECP384R1};
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};

/// The group, as rustls takes it.
pub(super) static SECP384R1MLKEM1024: &dyn SupportedKxGroup = &SecP384r1MlKem1024;

/// An uncompressed P-384 point.
const POINT: usize = 97;

#[derive(Debug)]
struct SecP384r1MlKem1024;

fn name() -> NamedGroup {
    // By number: a later rustls may name the value, and its equality goes by variant.
    NamedGroup::from(0x11ed)
}

fn split(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    share
        .split_at_checked(POINT)
        .ok_or(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))
}

fn join(classical: &[u8], post_quantum: &[u8]) -> Vec<u8> {
    [classical, post_quantum].concat()
}

impl SupportedKxGroup for SecP384r1MlKem1024 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (classical, post_quantum) = (SECP384R1.start()?, MLKEM1024.start()?);
        let share = join(classical.pub_key(), post_quantum.pub_key());
        Ok(Box::new(Active {
            classical,
            post_quantum,
            share,
        }))
    }

    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (point, key) = split(peer)?;
        let classical = SECP384R1.start_and_complete(point)?;
        let post_quantum = MLKEM1024.start_and_complete(key)?;
        Ok(CompletedKeyExchange {
            group: name(),
            pub_key: join(&classical.pub_key, &post_quantum.pub_key),
            secret: join(
                classical.secret.secret_bytes(),
                post_quantum.secret.secret_bytes(),
            )
            .into(),
        })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        name()
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

struct Active {
    classical: Box<dyn ActiveKeyExchange>,
    post_quantum: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let (point, ciphertext) = split(peer)?;
        let classical = self.classical.complete(point)?;
        let post_quantum = self.post_quantum.complete(ciphertext)?;
        Ok(join(classical.secret_bytes(), post_quantum.secret_bytes()).into())
    }

    fn hybrid_component(&self) -> Option<(NamedGroup, &[u8])> {
        Some((self.classical.group(), self.classical.pub_key()))
    }

    fn complete_hybrid_component(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        self.classical.complete(peer)
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn group(&self) -> NamedGroup {
        name()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_sides_arrive_at_the_same_secret_in_the_drafts_layout() {
        let client = SECP384R1MLKEM1024.start().unwrap();
        assert_eq!(client.pub_key().len(), 97 + 1568);
        let server = SECP384R1MLKEM1024
            .start_and_complete(client.pub_key())
            .unwrap();
        assert_eq!(server.pub_key.len(), 97 + 1568);
        let secret = client.complete(&server.pub_key).unwrap();
        assert_eq!(secret.secret_bytes(), server.secret.secret_bytes());
        assert_eq!(secret.secret_bytes().len(), 48 + 32);
    }

    #[test]
    fn a_share_of_the_wrong_length_is_refused() {
        assert!(SECP384R1MLKEM1024.start_and_complete(&[4; 96]).is_err());
        assert!(SECP384R1MLKEM1024.start_and_complete(&[4; 98]).is_err());
    }
}
