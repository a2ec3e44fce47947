//! Pieces of keys in base64: stretches whose letters and digits change as fast as random ones do.

use std::ops::Range;

/// Pieces of base64 that are hidden: their length, and how often they change between upper case, lower case
/// and digits. Random base64 does so at two of three characters; words in camel case, and the names of key
/// exchange groups, seldomer. The longer the piece, the surer the guess.
const PIECES: [(usize, usize); 3] = [(16, 8), (24, 10), (32, 12)];
/// Longest word with digits that is shown: a SHA-256 in hexadecimal, with room to spare.
const LONGEST_WORD: usize = 80;

/// Where `text` has a piece of a key, with the lines around it that belong to it. A piece is a line itself.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let words = words(text);
    let lines = words.split(|word| !is_line(&text[word.clone()]));
    let keys = lines.filter(|lines| lines.iter().any(|word| hides(&text[word.clone()])));
    let ranges = keys.filter_map(|lines| Some(lines.first()?.start..lines.last()?.end));
    ranges.collect::<Vec<_>>().into_iter()
}

/// The longest stretches of base64 characters.
pub(super) fn words(text: &str) -> Vec<Range<usize>> {
    let mut words: Vec<Range<usize>> = Vec::new();
    for (at, c) in text.char_indices().filter(|(_, c)| is_base64(*c)) {
        match words.last_mut() {
            Some(word) if word.end == at => word.end += c.len_utf8(),
            _ => words.push(at..at + c.len_utf8()),
        }
    }
    words
}

/// Whether a word beside a piece of a key may be its next line rather than prose.
fn is_line(word: &str) -> bool {
    let has = |class: fn(&u8) -> bool| word.as_bytes().iter().any(class);
    let mixed = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    word.len() >= 8 && (mixed || has(u8::is_ascii_digit))
}

/// Whether a word of base64 characters holds a piece of something random.
pub(super) fn hides(word: &str) -> bool {
    let mut names = word.split(['/', '-', '_']);
    let too_long =
        |name: &str| name.len() > LONGEST_WORD && name.contains(|c: char| c.is_ascii_digit());
    let random = |(length, changes): &(usize, usize)| {
        let mut pieces = word.as_bytes().windows(*length);
        pieces.any(|piece| is_random(piece, *changes))
    };
    names.any(too_long) || PIECES.iter().any(random)
}

/// Letters of both cases and digits in quick change. Hexadecimal has one case; the separators of paths and
/// names count as nothing.
fn is_random(piece: &[u8], least: usize) -> bool {
    let classes = || piece.iter().filter_map(|byte| class(*byte));
    let pairs = classes().zip(classes().skip(1));
    let changes = pairs.filter(|(one, next)| one != next).count();
    let has = |wanted| classes().any(|class| class == wanted);
    has(Class::Upper) && has(Class::Lower) && changes >= least
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Class {
    Upper,
    Lower,
    Digit,
}

fn class(byte: u8) -> Option<Class> {
    match byte {
        b'A'..=b'Z' => Some(Class::Upper),
        b'a'..=b'z' => Some(Class::Lower),
        b'0'..=b'9' => Some(Class::Digit),
        _ => None,
    }
}

/// Both alphabets of RFC 4648, sections 4 and 5.
pub(super) fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}
