//! HPKE (RFC 9180) in base mode with one message: X-Wing (KEM 0x647a, draft-ietf-hpke-pq), HKDF-SHA256,
//! ChaCha20-Poly1305. The key encapsulation is `x-wing`'s, everything else aws-lc's.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{hmac, rand};
use x_wing::{
    DecapsulationKeyRejectNonContrib, Decapsulator, EncapsulationKey, KeyExport, TryDecapsulate,
};
use zeroize::Zeroizing;

use super::Error;

/// Bytes of an encapsulated key.
pub const ENCAPSULATED: usize = x_wing::CIPHERTEXT_SIZE;
/// Bytes of a public key.
pub const PUBLIC_KEY: usize = x_wing::ENCAPSULATION_KEY_SIZE;
/// Bytes of a private key, which is a seed.
pub const SEED: usize = x_wing::DECAPSULATION_KEY_SIZE;
/// KEM, KDF, AEAD.
const SUITE: [u8; 10] = *b"HPKE\x64\x7a\x00\x01\x00\x03";
const VERSION: &[u8] = b"HPKE-v1";

/// Why a message cannot be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Not for this key, or changed: nobody can tell which.
    NotForThisKey,
    /// The encapsulated key has a point that makes the classical half void.
    LowOrder,
    /// The encapsulated key has another length.
    Length,
}

/// The public key of a private one.
pub fn public_key(seed: &[u8; SEED]) -> [u8; PUBLIC_KEY] {
    let key = DecapsulationKeyRejectNonContrib::from(*seed);
    let mut public = [0; PUBLIC_KEY];
    public.copy_from_slice(&key.encapsulation_key().to_bytes());
    public
}

/// Whether the bytes are a public key.
pub fn is_public_key(bytes: &[u8]) -> bool {
    EncapsulationKey::try_from(bytes).is_ok()
}

/// An encapsulated key and the message sealed with it.
pub fn seal(public: &[u8], info: &[u8], message: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let key = EncapsulationKey::try_from(public)
        .map_err(|_| Error::Header("a recipient is no public key"))?;
    let mut random = Zeroizing::new([0; x_wing::ENCAPSULATION_RANDOMNESS_SIZE]);
    rand::fill(random.as_mut()).map_err(|_| Error::Random)?;
    let (encapsulated, secret) = key.encapsulate_deterministic((&*random).into());
    let secret = Zeroizing::new(<[u8; 32]>::from(secret));
    let mut sealed = message.to_vec();
    let (key, nonce) = schedule(&secret, info);
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref()).map_err(|_| Error::Random)?;
    LessSafeKey::new(key)
        .seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed)
        .map_err(|_| Error::Random)?;
    Ok((encapsulated.to_vec(), sealed))
}

/// The message.
pub fn open(
    seed: &[u8; SEED],
    info: &[u8],
    encapsulated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let key = DecapsulationKeyRejectNonContrib::from(*seed);
    let encapsulated = encapsulated.try_into().map_err(|_| Refusal::Length)?;
    let secret = key.try_decapsulate(encapsulated);
    let secret = secret.map_err(|_| Refusal::LowOrder)?;
    let secret = Zeroizing::new(<[u8; 32]>::from(secret));
    let (key, nonce) = schedule(&secret, info);
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_ref());
    let key = LessSafeKey::new(key.map_err(|_| Refusal::NotForThisKey)?);
    let mut message = Zeroizing::new(sealed.to_vec());
    let opened = key.open_in_place(nonce, Aad::empty(), &mut message);
    let length = opened.map_err(|_| Refusal::NotForThisKey)?.len();
    message.truncate(length);
    Ok(message)
}

/// Key and first nonce (RFC 9180, section 5.1): no PSK, so its identifier and itself are empty.
fn schedule(secret: &[u8; 32], info: &[u8]) -> (Zeroizing<[u8; 32]>, Nonce) {
    let psk_id = labeled_extract(&[], b"psk_id_hash", &[]);
    let info = labeled_extract(&[], b"info_hash", info);
    let context = [&[0][..], psk_id.as_ref(), info.as_ref()].concat();
    let secret = labeled_extract(secret, b"secret", &[]);
    let key = labeled_expand(&secret, b"key", &context, 32);
    let base = labeled_expand(&secret, b"base_nonce", &context, 12);
    let mut nonce = [0; 12];
    nonce.copy_from_slice(&base[..12]);
    (key, Nonce::assume_unique_for_key(nonce))
}

fn labeled_extract(salt: &[u8], label: &[u8], input: &[u8]) -> Zeroizing<[u8; 32]> {
    mac(salt, &[VERSION, &SUITE, label, input])
}

/// At most 32 bytes, so one block; what is shorter is its beginning.
fn labeled_expand(key: &[u8; 32], label: &[u8], info: &[u8], length: u8) -> Zeroizing<[u8; 32]> {
    mac(key, &[&[0, length], VERSION, &SUITE, label, info, &[1]])
}

/// HKDF-SHA256 (RFC 5869) with one block of output.
pub(super) fn hkdf(salt: &[u8], input: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let key = mac(salt, &[input]);
    mac(key.as_ref(), &[info, &[1]])
}

/// HMAC-SHA256.
fn mac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    let mut out = Zeroizing::new([0; 32]);
    out.copy_from_slice(context.sign().as_ref());
    out
}
