//! A private key as a number, as tools print it.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use openssl::pkey::{PKey, Private};

/// The secret number of an EC key in hexadecimal.
pub(crate) fn scalar(key: &PKey<Private>) -> String {
    let number = key.ec_key().unwrap().private_key().to_vec_padded(32);
    let bytes = number.unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same as a JWK has it (RFC 7518 §6.2.2).
pub(crate) fn jwk_number(key: &PKey<Private>) -> String {
    let number = key.ec_key().unwrap().private_key().to_vec_padded(32);
    BASE64_URL_SAFE_NO_PAD.encode(number.unwrap())
}

/// As `openssl pkey -text`, `xxd` and other tools print it, and as a JWK.
pub(crate) fn ways(key: &PKey<Private>, cert: &str) -> Vec<(&'static str, String)> {
    let scalar = scalar(key);
    let bytes: Vec<&str> = (0..32).map(|at| &scalar[at * 2..at * 2 + 2]).collect();
    let lines = |separator: &str, width: usize| {
        let lines = bytes.chunks(width).map(|line| line.join(separator));
        lines.collect::<Vec<_>>()
    };
    let text = lines(":", 15).join(":\n    ");
    let jwk = jwk_number(key);
    let quads: Vec<_> = lines("", 2).chunks(8).map(|line| line.join(" ")).collect();
    vec![
        ("the secret number", scalar.clone()),
        ("the secret number in capitals", scalar.to_uppercase()),
        (
            "openssl pkey -text",
            format!("Private-Key: (256 bit)\npriv:\n    {text}\npub:\n    04:00\n{cert}"),
        ),
        (
            "one line of openssl pkey -text",
            format!("    {}:", lines(":", 15)[0]),
        ),
        ("xxd", quads.join("\n")),
        ("a list of bytes", format!("[0x{}]", bytes.join(", 0x"))),
        ("an escaped string", format!("\\x{}", bytes.join("\\x"))),
        (
            "a JWK",
            format!("{{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"{jwk}\"}}"),
        ),
    ]
}
