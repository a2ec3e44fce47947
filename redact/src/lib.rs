//! What may be shown of a text that others wrote. An operator who hands over a key in the wrong way (as
//! an argument, as a path, inside a configuration) must not find it again in a log, a page or an error.
//! [`Shown`] holds such a text inside an error; [`scrub`] is the last look at a message before it leaves.

mod age;
mod ahead;
mod arguments;
mod base64;
mod directory;
mod hex;
mod pin;
mod printable;
mod query;
mod userinfo;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use base64::{hides, is_base64, pieces, words};
use printable::printable;

pub use arguments::{clean, refuse_key_text};
pub use printable::{is_printable, lines, one_line, printable_json};

/// Shortest text that is taken for base64 throughout.
const SHORTEST_TEXT: usize = 32;
/// Characters of a value that are shown.
const LONGEST_VALUE: usize = 60;
/// Bytes of a path that are shown.
const LONGEST_PATH: usize = 512;
/// Ranges of a text that may be directories: the others are hidden, because each costs system calls.
const MOST_LOOKED_UP: usize = 32;
/// What stands in the place of a user and a password.
const USERINFO: &str = "(userinfo, not shown)";
/// What stands in the place of the query or the fragment of a URL.
const QUERY: &str = "(query, not shown)";
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
        if age::is_identity(text) || !age::identities(text).is_empty() {
            return Some(Self::Identity);
        }
        if age::is_recipient(text) {
            return None;
        }
        let joined: String = text.chars().filter(|c| !is_between(*c)).collect();
        let base64 = joined.len() >= SHORTEST_TEXT && joined.chars().all(is_base64);
        let random = random(text).next().is_some();
        if base64 && hides(&joined) && (random || joined.len() < text.len()) {
            return Some(Self::Base64);
        }
        random.then_some(Self::Piece)
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
    let text = without_credentials(text);
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().take(limit).map(printable).collect();
    if line.chars().nth(limit).is_some() || line.len() < text.trim_end_matches('\n').len() {
        shown.push('…');
    }
    shown
}

/// A value without the user and the password before its host, and without its query.
fn without_credentials(text: &str) -> Cow<'_, str> {
    let users = userinfo::of_value(text).into_iter();
    let users = users.map(|range| (range, USERINFO));
    let mut ranges: Vec<_> = users
        .chain(query::of_value(text).map(|range| (range, QUERY)))
        .collect();
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    ranges.sort_by_key(|(range, _)| range.start);
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    for (range, instead) in ranges {
        // Of two that overlap all is hidden.
        if range.start >= from {
            clean.push_str(&text[from..range.start]);
            clean.push_str(instead);
        }
        from = from.max(range.end);
    }
    clean.push_str(&text[from..]);
    Cow::Owned(clean)
}

fn hidden(what: Secret, bytes: usize) -> String {
    format!("({what}, {bytes} bytes, not shown)")
}

/// A message without the userinfo and the query that one of these arguments of the command line has.
pub fn without_userinfo_of<'a>(message: &'a str, arguments: &[String]) -> Cow<'a, str> {
    let mut clean = Cow::Borrowed(message);
    for argument in arguments {
        let value = argument.split_once('=').map_or("", |(_, value)| value);
        for value in [argument, value] {
            if let Some(range) = query::of_value(value) {
                // With its mark.
                let (mark, secret) = (
                    &value[range.start - 1..range.start],
                    &value[range.start - 1..],
                );
                if clean.contains(secret) {
                    clean = clean.replace(secret, &format!("{mark}{QUERY}")).into();
                }
            }
            for range in userinfo::of_value(value) {
                // With its `@`: a short name is a part of other words.
                let secret = format!("{}@", &value[range]);
                if secret.len() > 1 && clean.contains(&secret) {
                    clean = clean.replace(&secret, &format!("{USERINFO}@")).into();
                }
            }
        }
    }
    clean
}

/// A message without what may be a key: for the words of libraries, and before a message leaves.
pub fn scrub(message: &str) -> Cow<'_, str> {
    let mut ranges: Vec<_> = armoured(message)
        .into_iter()
        .chain(random(message))
        .chain(age::identities(message))
        .chain(pin::values(message))
        .chain(userinfo::of_message(message))
        .chain(query::of_message(message))
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
            None if message[..range.start].ends_with(['?', '#']) => clean.push_str(QUERY),
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

/// Where `text` has something random, in base64 or in hexadecimal, that is not the name of a directory.
fn random(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let is_left = |rest: &str| {
        let mut words = words(rest).into_iter();
        words.any(|word| hides(&rest[word])) || !hex::pieces(rest).is_empty()
    };
    let found = pieces(text).chain(hex::pieces(text)).enumerate();
    found.filter_map(move |(before, range)| {
        let rest = match before {
            0..MOST_LOOKED_UP => directory::beyond(text, range.clone()),
            _ => range.clone(),
        };
        (rest == range || is_left(&text[rest.clone()])).then_some(rest)
    })
}

/// What may stand between the lines of one base64 text.
fn is_between(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '\\')
}

#[cfg(test)]
mod tests;
