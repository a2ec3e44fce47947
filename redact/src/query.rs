//! Query and fragment of a URL (RFC 3986 §3.4), where keys of an API often stand.

use std::ops::Range;

use super::QUERY;
use super::ahead::Ahead;
use super::userinfo::{after_schemes, is_end};

/// Characters behind what is hidden already that are looked at.
const LONGEST_PUNCTUATION: usize = 4;

/// Where a value has them: from behind the mark to its end.
pub(super) fn of_value(text: &str) -> Option<Range<usize>> {
    let start = match after_schemes(text).next() {
        Some(start) => start,
        // Without its scheme an address is repeated too; a URI of PKCS#11 has no secret but its PIN.
        None if is_pkcs11(text) || !text.contains('=') => return None,
        None => text.find('?')?,
    };
    let mark = start + text[start..].find(is_mark)?;
    within(text, mark, text.len())
}

/// The same of the URLs in a message, each up to a space or a quotation mark.
pub(super) fn of_message(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut ends = Ahead::new(text, is_end);
    let mut marks = Ahead::new(text, is_mark);
    after_schemes(text).filter_map(move |start| {
        let (mark, mut end) = (marks.from(start), ends.from(start));
        if mark < end && text[mark + 1..].starts_with(QUERY) {
            // There is a space in it.
            end = ends.from(mark + 1 + QUERY.len());
        }
        within(text, mark, end)
    })
}

fn is_mark(c: char) -> bool {
    matches!(c, '?' | '#')
}

/// Behind the mark up to the URL's end, if there is anything. What is hidden already stays as it is.
fn within(text: &str, mark: usize, end: usize) -> Option<Range<usize>> {
    let from = mark + 1;
    if from >= end {
        return None;
    }
    // What stands behind a URL in a sentence is none of it.
    let is_hidden = text[from..].strip_prefix(QUERY).is_some_and(|behind| {
        let mut behind = behind.chars();
        behind
            .by_ref()
            .take(LONGEST_PUNCTUATION)
            .find(|c| !is_punctuation(*c))
            .or_else(|| behind.next())
            .is_none_or(is_end)
    });
    (!is_hidden).then_some(from..end)
}

fn is_punctuation(c: char) -> bool {
    matches!(c, ')' | ']' | '}' | '>' | ',' | ';' | ':' | '.')
}

fn is_pkcs11(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("pkcs11")
}
