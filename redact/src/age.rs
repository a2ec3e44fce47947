//! Keys of age in Bech32: one case and digits, so that they do not look random. An identity is a secret,
//! a recipient is not.

use std::ops::Range;

const IDENTITY: &str = "AGE-SECRET-KEY-";
/// Characters behind the prefix, from which on it is a key and no mention of one.
const SHORTEST: usize = 20;
/// The characters of Bech32 (BIP 173).
const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Characters of a word in Bech32 that may be an identity without its prefix: that has 58.
const SHORTEST_WORD: usize = 50;

/// Whether the whole text is an identity, however short: what was typed of one is not repeated.
pub(super) fn is_identity(text: &str) -> bool {
    let start = text.get(..IDENTITY.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(IDENTITY))
}

/// Where `text` has identities.
pub(super) fn identities(text: &str) -> Vec<Range<usize>> {
    let upper = text.to_ascii_uppercase();
    let mut keys: Vec<Range<usize>> = Vec::new();
    for (at, _) in upper.match_indices(IDENTITY) {
        // A prefix inside a key begins no other.
        if keys.last().is_some_and(|key| key.contains(&at)) {
            continue;
        }
        let behind = upper.get(at + IDENTITY.len()..).unwrap_or_default();
        let key = behind
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'-');
        keys.push(at..at + IDENTITY.len() + key.count());
    }
    keys.retain(|range| range.len() >= IDENTITY.len() + SHORTEST);
    let apart = |word: &Range<usize>| {
        let before = keys.partition_point(|key| key.start <= word.start);
        !before
            .checked_sub(1)
            .is_some_and(|last| keys[last].contains(&word.start))
    };
    let words: Vec<_> = words(text).filter(apart).collect();
    keys.into_iter().chain(words).collect()
}

/// Words that are the data of an identity: a double click on one selects what follows the last hyphen.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let ranges = words.map(move |word| {
        let range = at..at + word.len();
        let between = text[range.end..].chars().next().map_or(0, char::len_utf8);
        at = range.end + between;
        range
    });
    ranges.filter(|range| is_data(&text[range.clone()]))
}

fn is_data(word: &str) -> bool {
    let data = word.strip_prefix('1').unwrap_or(word).as_bytes();
    let has = |class: fn(&u8) -> bool| data.iter().any(class);
    data.len() >= SHORTEST_WORD
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase) != has(u8::is_ascii_uppercase)
        && !data.iter().all(u8::is_ascii_hexdigit)
        && data
            .iter()
            .all(|b| BECH32.contains(&b.to_ascii_lowercase()))
}

/// Whether the whole text is a recipient, such as `age1pq1…`.
pub(super) fn is_recipient(text: &str) -> bool {
    let is_lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.starts_with("age1") && text.bytes().all(is_lower)
}
