//! The public part of a key as a JWK writes it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

/// Whether a point of edwards25519 has order 8 or less: its y-coordinate is one of five, or one of
/// those in another writing. The sign of x, in the highest bit, does not matter.
pub(super) fn small_order(point: &[u8]) -> bool {
    const ORDER_8: [[u8; 32]; 2] = [
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ];
    let mut y = point.to_vec();
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    let [low, middle @ .., high] = y.as_slice() else {
        return true;
    };
    // 0 and 1; p - 1, p and p + 1 of p = 2^255 - 19, the latter two being 0 and 1 again.
    let all = |byte: u8| middle.iter().all(|is| *is == byte);
    let small = all(0) && *high == 0 && *low <= 1;
    let near_p = all(0xff) && *high == 0x7f && (0xec..=0xee).contains(low);
    small || near_p || ORDER_8.iter().any(|known| known[..] == y[..])
}

/// The bytes of a member, if they have the length of its algorithm.
pub(super) fn decode(member: Option<&Value>, length: usize) -> Result<Vec<u8>, &'static str> {
    let text = member.and_then(Value::as_str);
    let text = text.ok_or("its public part is missing")?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text);
    let bytes = bytes.map_err(|_| "its public part is not base64url without padding")?;
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err("its public part has another length than its algorithm's")
    }
}
