//! ClientHellos written by hand (RFC 8446 §4.1.2): the questions that no TLS library asks, such as a
//! list of groups without a single key share. The answer shows which group the server would take.

use std::ops::RangeInclusive;

use aws_lc_rs::agreement::{
    Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, EphemeralPrivateKey, X25519,
};
use aws_lc_rs::rand::{self, SystemRandom};

use crate::groups;

/// TLS 1.3 on the wire.
pub const TLS13: u16 = 0x0304;
/// TLS 1.2 on the wire.
pub const TLS12: u16 = 0x0303;

const HANDSHAKE: u8 = 22;
/// Bytes of a record's payload at most.
const RECORD: usize = 1 << 14;

/// Every signature scheme that servers have certificates for: classical, then ML-DSA.
const SCHEMES: [u16; 17] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401,
    0x0501, 0x0601, 0x0904, 0x0905, 0x0906,
];
/// For versions before TLS 1.2, whose signatures are by SHA-1.
const SHA1_SCHEMES: [u16; 2] = [0x0201, 0x0203];
const SUITES_13: [u16; 5] = [0x1301, 0x1302, 0x1303, 0x1304, 0x1305];
/// What most servers of the last twenty years accept comes first: ECDHE and RSA key exchange, AEAD and CBC.
const COMMON_SUITES_12: [u16; 18] = [
    0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc009, 0xc013, 0xc00a, 0xc014, 0xc023, 0xc027,
    0x009c, 0x009d, 0x002f, 0x0035, 0x009e, 0x009f,
];
/// Every suite before TLS 1.3 that IANA lists, in ranges: only a server that takes none of them has refused
/// the version.
const SUITES_12: [RangeInclusive<u16>; 8] = [
    0x0001..=0x001b,
    0x001e..=0x0046,
    0x0067..=0x006d,
    0x0084..=0x00c5,
    0xc001..=0xc0b3,
    0xc100..=0xc106,
    0xcca8..=0xccae,
    0xd001..=0xd005,
];

/// A ClientHello.
#[derive(Clone, Debug)]
pub struct Hello<'a> {
    /// The name of `server_name`; an address sends none (RFC 6066 §3).
    pub name: Option<&'a str>,
    /// The one version offered.
    pub version: u16,
    /// The list of `supported_groups`.
    pub groups: &'a [u16],
    /// The group of the one key share, one of [`SHARED`]; none: an empty list of shares.
    pub share: Option<u16>,
    /// Bytes of the padding extension (RFC 7685).
    pub padding: Option<u16>,
}

impl Hello<'_> {
    /// The handshake message.
    pub fn message(&self) -> Option<Vec<u8>> {
        let mut body = self.version.min(TLS12).to_be_bytes().to_vec();
        let mut random = [0; 64];
        rand::fill(&mut random).ok()?;
        body.extend(&random[..32]);
        vector8(&mut body, &random[32..]);
        let suites = if self.version == TLS13 {
            SUITES_13.to_vec()
        } else {
            suites_before_13()
        };
        vector16(&mut body, &list(&suites));
        vector8(&mut body, &[0]);
        vector16(&mut body, &self.extensions()?);
        let mut message = vec![1];
        message.extend(&u32::try_from(body.len()).ok()?.to_be_bytes()[1..]);
        message.extend(body);
        Some(message)
    }

    fn extensions(&self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        if let Some(name) = self.name {
            let mut host = vec![0];
            vector16(&mut host, name.as_bytes());
            extension(&mut all, 0, &with_length16(&host));
        }
        extension(&mut all, 10, &with_length16(&list(self.groups)));
        extension(&mut all, 11, &[1, 0]);
        let mut schemes = list(&SCHEMES);
        if self.version < TLS13 {
            schemes.extend(list(&SHA1_SCHEMES));
        }
        extension(&mut all, 13, &with_length16(&schemes));
        // Extended master secret and an empty renegotiation_info: some servers refuse a TLS 1.2 client without.
        extension(&mut all, 23, &[]);
        extension(&mut all, 0xff01, &[0]);
        if self.version == TLS13 {
            let mut versions = Vec::new();
            vector8(&mut versions, &TLS13.to_be_bytes());
            extension(&mut all, 43, &versions);
            extension(&mut all, 45, &[1, 1]);
            extension(&mut all, 51, &with_length16(&self.shares()?));
        }
        if let Some(padding) = self.padding {
            extension(&mut all, 21, &vec![0; usize::from(padding)]);
        }
        Some(all)
    }

    fn shares(&self) -> Option<Vec<u8>> {
        let Some(group) = self.share else {
            return Some(Vec::new());
        };
        let mut shares = group.to_be_bytes().to_vec();
        vector16(&mut shares, &public_key(group)?);
        Some(shares)
    }
}

/// The common suites, then all others.
fn suites_before_13() -> Vec<u16> {
    let rest = SUITES_12.into_iter().flatten();
    let rest = rest.filter(|suite| !COMMON_SUITES_12.contains(suite));
    COMMON_SUITES_12.into_iter().chain(rest).collect()
}

/// The groups of which a share can be sent.
pub const SHARED: [u16; 4] = [
    groups::X25519,
    groups::SECP256R1,
    groups::SECP384R1,
    groups::SECP521R1,
];

/// A public key whose private half nobody keeps: no handshake is completed with it.
fn public_key(group: u16) -> Option<Vec<u8>> {
    let algorithm: &'static Algorithm = match group {
        groups::X25519 => &X25519,
        groups::SECP256R1 => &ECDH_P256,
        groups::SECP384R1 => &ECDH_P384,
        groups::SECP521R1 => &ECDH_P521,
        _ => return None,
    };
    let key = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).ok()?;
    Some(key.compute_public_key().ok()?.as_ref().to_vec())
}

/// A message as records of at most `size` bytes each.
pub fn records(message: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 64);
    for piece in message.chunks(size.clamp(1, RECORD)) {
        out.extend([HANDSHAKE, 3, 1]);
        vector16(&mut out, piece);
    }
    out
}

fn extension(out: &mut Vec<u8>, kind: u16, data: &[u8]) {
    out.extend(kind.to_be_bytes());
    vector16(out, data);
}

fn list(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().copied().flat_map(u16::to_be_bytes).collect()
}

fn with_length16(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 2);
    vector16(&mut out, data);
    out
}

/// What is written here is far below 64 KiB.
fn vector16(out: &mut Vec<u8>, data: &[u8]) {
    out.extend((data.len() as u16).to_be_bytes());
    out.extend(data);
}

fn vector8(out: &mut Vec<u8>, data: &[u8]) {
    out.push(data.len() as u8);
    out.extend(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_before_tls_1_3_offers_every_suite_once() {
        let suites = suites_before_13();
        let mut sorted = suites.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), suites.len());
        // RSA with CBC and SHA-256, DHE, CCM, 3DES, Camellia, ARIA, anonymous, PSK.
        for suite in [
            0x003c, 0x0067, 0xc09c, 0x000a, 0x0041, 0xc03c, 0x0034, 0x008c,
        ] {
            assert!(suites.contains(&suite), "{suite:#06x}");
        }
        assert!(suites.iter().all(|suite| !SUITES_13.contains(suite)));
    }

    #[test]
    fn a_share_can_be_made_of_each_group_that_is_listed() {
        for (group, bytes) in SHARED.into_iter().zip([32, 65, 97, 133]) {
            assert_eq!(public_key(group).map(|key| key.len()), Some(bytes));
        }
    }
}
