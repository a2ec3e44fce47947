//! Values of a bill: URLs, identifiers, times, and what a KEM is.

use std::net::Ipv6Addr;

use serde_json::{Value, json};

use crate::certificate::hex;

/// An IPv6 address with all of its groups: strict readers take `::` for no part of a URL.
pub(super) fn uncompressed(url: &str) -> String {
    let parts = url
        .split_once('[')
        .and_then(|(before, rest)| Some((before, rest.split_once(']')?)));
    let Some((before, (address, after))) = parts else {
        return url.to_owned();
    };
    let Ok(address) = address.parse::<Ipv6Addr>() else {
        return url.to_owned();
    };
    let groups = address.segments().map(|group| format!("{group:x}"));
    format!("{before}[{}]{after}", groups.join(":"))
}

pub(super) fn kem(set: &str, level: u8) -> Value {
    json!({
        "primitive": "kem",
        "parameterSetIdentifier": set,
        "cryptoFunctions": ["keygen", "encapsulate", "decapsulate"],
        "nistQuantumSecurityLevel": level,
    })
}

/// ML-KEM of FIPS 203, in NIST's arc.
pub(super) fn oid(name: &str) -> Option<&'static str> {
    match name {
        "MLKEM512" => Some("2.16.840.1.101.3.4.4.1"),
        "MLKEM768" => Some("2.16.840.1.101.3.4.4.2"),
        "MLKEM1024" => Some("2.16.840.1.101.3.4.4.3"),
        "X25519" => Some("1.3.101.110"),
        "x448" => Some("1.3.101.111"),
        _ => None,
    }
}

/// A random UUID (RFC 9562 §5.4) as a URN.
pub(super) fn serial() -> String {
    let mut bytes = [0; 16];
    // Without randomness it would be all zeros: valid, and not unique.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex(&bytes);
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests;
