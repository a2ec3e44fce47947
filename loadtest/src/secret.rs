//! A key on the command line (`--ca "$(cat tls.key)"`) is refused before anything could repeat it.

/// Shortest text that is taken for base64 of a key; an Ed25519 key has 64 characters.
const SHORTEST: usize = 60;

/// The refusal if an argument is PEM or base64 text.
pub fn refusal<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let secret = arguments.into_iter().find(|argument| {
        let value = argument.split_once('=').map(|(_, value)| value);
        is_secret(argument) || value.is_some_and(is_secret)
    })?;
    Some(format!(
        "an argument holds the text of a key or certificate ({} bytes, not shown): put it in a file and write the file's path",
        secret.len()
    ))
}

/// A line of PEM, or base64 throughout whose characters change between upper case, lower case and digits as
/// random ones do (at two of three); those of paths and names change seldomer, and hexadecimal has one case.
fn is_secret(text: &str) -> bool {
    if text.contains("-----BEGIN") || text.contains("-----END") {
        return true;
    }
    let text: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    let class = |byte: u8| (byte.is_ascii_uppercase(), byte.is_ascii_digit());
    let is_mixed =
        text.iter().any(u8::is_ascii_uppercase) && text.iter().any(u8::is_ascii_lowercase);
    let changes = text.windows(2).filter(|two| class(two[0]) != class(two[1]));
    text.len() >= SHORTEST
        && is_mixed
        && text.iter().all(is_base64)
        && changes.count() * 5 > text.len() * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/uVguRvLEQrMLscVNmS0IuR4BhFPwFXxQZ5A";

    #[test]
    fn a_key_is_refused_and_not_repeated() {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{KEY}\n-----END PRIVATE KEY-----\n");
        for argument in [
            pem.as_str(),
            KEY,
            &format!("--ca={KEY}"),
            &KEY.replace('v', "v\n"),
        ] {
            let refusal = refusal(["run", argument]).unwrap_or_default();
            assert!(
                refusal.contains("bytes, not shown"),
                "{argument}: {refusal}"
            );
            assert!(!refusal.contains(&KEY[..16]));
        }
    }

    #[test]
    fn paths_and_names_are_no_keys() {
        let digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        for argument in [
            "/home/Somebody/projects/hybridge/loadtest/results/2026-11-25/run-17",
            "/var/lib/kubelet/pods/0f3c1a52-6c0d-4c5e-9d44-5a3f3a9c7e21/volumes/tls",
            "X25519MLKEM768",
            digest,
        ] {
            assert_eq!(refusal([argument]), None);
        }
    }
}
