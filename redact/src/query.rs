//! Query and fragment of a URL (RFC 3986 §3.4), where keys of an API often stand.

use std::ops::Range;

use super::userinfo::{after_schemes, is_end};

/// How what was hidden before ends.
const HIDDEN: &str = "not shown)";

/// Where a value has them: from behind the mark to its end.
pub(super) fn of_value(text: &str) -> Option<Range<usize>> {
    let start = match after_schemes(text).next() {
        Some(start) => start,
        // Without its scheme an address is repeated too; a URI of PKCS#11 has no secret but its PIN.
        None if is_pkcs11(text) || !text.contains('=') => return None,
        None => text.find('?')?,
    };
    within(text, start..text.len())
}

/// The same of the URLs in a message, each up to a space or a quotation mark.
pub(super) fn of_message(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    after_schemes(text).filter_map(|start| {
        let rest = &text[start..];
        within(text, start..start + rest.find(is_end).unwrap_or(rest.len()))
    })
}

/// Behind the first mark, if there is anything. What is hidden already stays as it is.
fn within(text: &str, url: Range<usize>) -> Option<Range<usize>> {
    let from = url.start + text[url.clone()].find(['?', '#'])? + 1;
    let behind = &text[from..];
    let is_hidden = behind.starts_with('(')
        && behind
            .split_inclusive(')')
            .next()
            .is_some_and(|first| first.ends_with(HIDDEN));
    (from < url.end && !is_hidden).then_some(from..url.end)
}

fn is_pkcs11(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("pkcs11")
}
