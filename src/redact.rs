//! What may be shown of a text that others wrote. An operator who hands over a key in the wrong way (as
//! an argument, as a path, inside a configuration) must not find it again in a log, a page or an error.
//! [`Shown`] holds such a text inside an error; [`scrub`] is the last look at a message before it leaves.

mod age;
mod hex;
mod pin;
mod userinfo;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// Pieces of base64 that are hidden: their length, and how often they change between upper case, lower case
/// and digits. Random base64 does so at two of three characters; words in camel case, and the names of key
/// exchange groups, seldomer. The longer the piece, the surer the judgement.
const PIECES: [(usize, usize); 3] = [(16, 8), (24, 10), (32, 12)];
/// Shortest text that is taken for base64 throughout.
const SHORTEST_TEXT: usize = 32;
/// Longest word with digits that is shown: a SHA-256 in hexadecimal, with room to spare.
const LONGEST_WORD: usize = 80;
/// Characters of a value that are shown.
const LONGEST_VALUE: usize = 60;
/// Bytes of a path that are shown.
const LONGEST_PATH: usize = 512;
/// What stands in the place of a user and a password.
const USERINFO: &str = "(userinfo, not shown)";
/// How a PEM block begins and ends (RFC 7468).
const ARMOUR: [&str; 2] = ["-----BEGIN", "-----END"];

/// A text of somebody else, reduced to what may be shown. The original is not kept.
#[derive(Clone, Eq, PartialEq)]
pub struct Shown(Box<str>);

impl Shown {
    /// A path; longer than other values, because people look for it.
    pub fn path(path: &Path) -> Self {
        Self(shown(&path.to_string_lossy(), LONGEST_PATH).into())
    }
}

impl From<&str> for Shown {
    fn from(text: &str) -> Self {
        Self(shown(text, LONGEST_VALUE).into())
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Path> for Shown {
    fn from(path: &Path) -> Self {
        Self::path(path)
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// What a text that may not be shown seems to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Secret {
    /// It has a line that begins or ends a PEM block.
    Pem,
    /// It is base64 throughout, as a Kubernetes Secret holds a key.
    Base64,
    /// It has an identity of age, which opens sealed files.
    Identity,
    /// It has the PIN of a token, as a URI of PKCS#11 may.
    Pin,
    /// It has a piece that may be part of a key.
    Piece,
}

impl Secret {
    /// What `text` seems to be; `None` for a text that may be shown.
    pub fn of(text: &str) -> Option<Self> {
        if ARMOUR.iter().any(|line| text.contains(line)) {
            return Some(Self::Pem);
        }
        if !pin::values(text).is_empty() {
            return Some(Self::Pin);
        }
        if !age::identities(text).is_empty() {
            return Some(Self::Identity);
        }
        if age::is_recipient(text) {
            return None;
        }
        let joined: String = text.chars().filter(|c| !is_between(*c)).collect();
        let base64 = joined.len() >= SHORTEST_TEXT && joined.chars().all(is_base64);
        if base64 && hides(&joined) {
            return Some(Self::Base64);
        }
        let piece = !hex::pieces(text).is_empty() || pieces(text).next().is_some();
        piece.then_some(Self::Piece)
    }

    /// Whether it is a key or a certificate as a whole, which is never what a setting takes.
    pub fn is_whole(self) -> bool {
        self != Self::Piece
    }

    /// What to write where the path of a file belongs.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Pin => {
                "write the PIN to a file (mode 0400), and pin-source=file:/PATH in the place of pin-value"
            }
            _ => "put it in a file and write the file's path",
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pem => "PEM text",
            Self::Base64 => "base64 text",
            Self::Identity => "an age identity",
            Self::Pin => "a URI with a PIN",
            Self::Piece => "text like a key",
        })
    }
}

/// `text` if it may be shown, in one line of at most `limit` characters; else what it is and how long.
fn shown(text: &str, limit: usize) -> String {
    if let Some(secret) = Secret::of(text) {
        return hidden(secret, text.len());
    }
    let text = without_userinfo(text);
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(limit).map(printable).collect();
    if line.chars().nth(limit).is_some() || line.len() < text.trim_end_matches('\n').len() {
        shown.push('…');
    }
    shown
}

/// A value without the user and the password before its host.
fn without_userinfo(text: &str) -> Cow<'_, str> {
    let mut clean = Cow::Borrowed(text);
    for range in userinfo::of_value(text).into_iter().rev() {
        clean.to_mut().replace_range(range, USERINFO);
    }
    clean
}

/// A control character could break a log line or drive a terminal.
fn printable(c: char) -> char {
    if c.is_control() { '\u{fffd}' } else { c }
}

fn hidden(what: Secret, bytes: usize) -> String {
    format!("({what}, {bytes} bytes, not shown)")
}

/// A message without what may be a key: for the words of libraries, and before a message leaves.
pub fn scrub(message: &str) -> Cow<'_, str> {
    let mut ranges: Vec<_> = armoured(message)
        .into_iter()
        .chain(pieces(message))
        .chain(hex::pieces(message))
        .chain(age::identities(message))
        .chain(pin::values(message))
        .chain(userinfo::of_urls(message))
        .collect();
    if ranges.is_empty() {
        return Cow::Borrowed(message);
    }
    // Of two that begin together the longer one.
    ranges.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut clean = String::with_capacity(message.len());
    let mut from = 0;
    for range in ranges {
        if range.start < from {
            // What one that was hidden ends in may go on.
            from = from.max(range.end);
            continue;
        }
        let secret = &message[range.clone()];
        clean.push_str(&message[from..range.start]);
        match Secret::of(secret) {
            None if message[range.end..].starts_with('@') => clean.push_str(USERINFO),
            what => clean.push_str(&hidden(what.unwrap_or(Secret::Piece), secret.len())),
        }
        from = range.end;
    }
    clean.push_str(&message[from..]);
    Cow::Owned(clean)
}

/// From the first line that begins or ends a PEM block to the end of the last, or of the message: where
/// the last one ends nobody knows if its own line is broken.
fn armoured(message: &str) -> Option<Range<usize>> {
    let lines = ARMOUR.iter().flat_map(|line| message.match_indices(line));
    let of_keys = lines.filter(|(at, line)| !is_mention(message, *at, line.len()));
    let start = of_keys.map(|(at, _)| at).min()?;
    let end = message.rfind("-----END").and_then(|end| {
        let label = end + "-----END".len();
        let length = message[label..].find("-----")? + "-----".len();
        Some(label + length)
    });
    Some(start..end.filter(|end| *end > start).unwrap_or(message.len()))
}

/// Whether the line stands in a message of ours, closed in backquotes, with nothing behind it.
fn is_mention(message: &str, at: usize, length: usize) -> bool {
    let label = &message[at + length..];
    let behind = label.find("-----").map(|end| &label[end + 5..]);
    message[..at].ends_with('`') && behind.is_some_and(|behind| behind.starts_with('`'))
}

/// Where `text` has a piece of a key, with the lines around it that belong to it.
fn pieces(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let words = words(text);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (index, word) in words.iter().enumerate() {
        if !hides(&text[word.clone()]) {
            continue;
        }
        let belongs = |range: &&Range<usize>| is_line(&text[(*range).clone()]);
        let before = words[..index].iter().rev().take_while(belongs).last();
        let after = words[index + 1..].iter().take_while(belongs).last();
        let start = before.unwrap_or(word).start;
        let end = after.unwrap_or(word).end;
        match ranges.last_mut() {
            Some(last) if last.end >= start => last.end = last.end.max(end),
            _ => ranges.push(start..end),
        }
    }
    ranges.into_iter()
}

/// The longest stretches of base64 characters.
fn words(text: &str) -> Vec<Range<usize>> {
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
fn hides(word: &str) -> bool {
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
fn is_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_')
}

/// What may stand between the lines of one base64 text.
fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '\\')
}

#[cfg(test)]
mod tests;
