//! The texts of a certificate and a key file are loaded or refused, never with a panic, and no refusal
//! repeats 16 characters of what may be a key's body.
#![no_main]

use hybridge::tls::fuzzing::credentials;
use libfuzzer_sys::fuzz_target;

/// Consecutive characters that give too much of a key away.
const PIECE: usize = 16;

// The two texts with a zero byte between; without one, the same text as both.
fuzz_target!(|input: &[u8]| {
    let zero = input.iter().position(|byte| *byte == 0);
    let (cert, key) = zero.map_or((input, input), |at| (&input[..at], &input[at + 1..]));
    let said = match credentials(cert, key) {
        Ok(credentials) => credentials.warnings().iter().map(|w| format!("{w}\n{w:?}\n")).collect(),
        Err(error) => format!("{error}\n{error:?}"),
    };
    let input: Vec<u8> = input.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let mut pieces = said.as_bytes().windows(PIECE).filter(|piece| is_base64(piece));
    let repeated = pieces.find(|piece| input.windows(PIECE).any(|window| window == *piece));
    assert_eq!(repeated.map(<[u8]>::escape_ascii).map(|piece| piece.to_string()), None, "{said}");
});

/// Letters of both cases and digits: nearly every piece of a key, and no word of a message.
fn is_base64(piece: &[u8]) -> bool {
    let is_character = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    piece.iter().all(is_character)
        && piece.iter().any(u8::is_ascii_digit)
        && piece.iter().any(u8::is_ascii_uppercase)
        && piece.iter().any(u8::is_ascii_lowercase)
}
