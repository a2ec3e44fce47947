//! Keys in hexadecimal: what `openssl pkey -text`, `xxd` and dumps of bytes print.

use std::ops::Range;

/// Bytes in groups of two digits that are hidden: more than a MAC address or an EUI-64 has.
const MOST_GROUPS: usize = 10;
/// Digits in one word that are hidden: more than a SHA-1, a trace identifier or a UUID has.
const MOST_DIGITS: usize = 44;
/// What a long word is not hidden behind: a digest is no secret.
const DIGESTS: [&str; 4] = ["sha256:", "sha256=", "sha256\":\"", "sha256/"];
/// Characters between two groups, longest first.
const BETWEEN: [&str; 6] = ["\\\\x", "\\\\n", "0x", "0X", "\\x", "\\n"];

/// Where `text` has bytes in hexadecimal, as one long word or as many short groups.
pub(super) fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if let Some(range) = word(text, at).or_else(|| groups(text, at)) {
            at = range.end;
            ranges.push(range);
        } else {
            at += step(text, at);
        }
    }
    ranges
}

/// Past the character at `at`, or past all of its word.
fn step(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    let word = digits(rest);
    if word > 0 {
        return word;
    }
    rest.chars().next().map_or(1, char::len_utf8)
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_hexdigit).count()
}

fn word(text: &str, at: usize) -> Option<Range<usize>> {
    let length = digits(&text[at..]);
    let before = &text[..at];
    let is_digest = length == 64 && DIGESTS.iter().any(|mark| before.ends_with(mark));
    let word = &text[at..at + length];
    let mixed = word.contains(|c: char| c.is_ascii_digit())
        && word.contains(|c: char| c.is_ascii_alphabetic());
    (length > MOST_DIGITS && mixed && !is_digest).then_some(at..at + length)
}

/// Groups of two digits, or of four with white space between (an IPv6 address has colons).
fn groups(text: &str, at: usize) -> Option<Range<usize>> {
    let (mut end, mut bytes, mut next) = (at, 0, at);
    loop {
        let length = digits(&text[next..]);
        let spaced = next == at || text[end..next].contains(char::is_whitespace);
        match length {
            2 => bytes += 1,
            4 if spaced => bytes += 2,
            _ => break,
        }
        end = next + length;
        let between = between(&text[end..]);
        if between == 0 {
            break;
        }
        next = end + between;
    }
    (bytes >= MOST_GROUPS).then_some(at..end)
}

/// Bytes of what may stand between two groups.
fn between(text: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        if let Some(mark) = BETWEEN.iter().find(|mark| rest.starts_with(**mark)) {
            at += mark.len();
        } else if let Some(c) = rest.chars().next().filter(|c| is_separator(*c)) {
            at += c.len_utf8();
        } else {
            return at;
        }
    }
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ':' | ',' | ';' | '-' | '"' | '\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Vec<&str> {
        pieces(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn bytes_in_hexadecimal_are_found_however_they_are_written() {
        let scalar: Vec<u8> = (0..32).map(|n| n * 7 + 3).collect();
        let join = |separator: &str| {
            let bytes: Vec<_> = scalar.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(separator)
        };
        for separator in [
            "", ":", " ", ", 0x", "\\x", "\\\\x", ":\n    ", "\", \"", "-",
        ] {
            let text = format!("priv:\n    {}\npub:", join(separator));
            assert_eq!(hidden(&text), [join(separator)], "{separator:?}");
        }
        let line = "3b:e2:44:0f:9a:10:22:35:47:59:6b:7d:8f:a1:b3:";
        assert_eq!(hidden(line), [line.trim_end_matches(':')]);
        let xxd = "00000000: 3077 0201 0104 20c9 1f2e 3d4c 5b6a 7988";
        assert_eq!(hidden(xxd), ["3077 0201 0104 20c9 1f2e 3d4c 5b6a 7988"]);
        assert_eq!(hidden(&join("").to_uppercase()), [join("").to_uppercase()]);
    }

    #[test]
    fn what_has_few_digits_or_is_a_digest_is_shown() {
        for text in [
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "sha256=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "the MAC address 02:42:ac:11:00:02",
            "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
            "[::1]:8443, 127.0.0.1:8000",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
            "123e4567-e89b-12d3-a456-426614174000",
            "2026-11-25T09:30:00Z, 10 of 20, 30 of 40",
        ] {
            assert_eq!(hidden(text), Vec::<&str>::new(), "{text}");
        }
    }
}
