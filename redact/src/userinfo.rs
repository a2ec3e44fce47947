//! User and password before the host of a URL or of HOST:PORT (RFC 3986 §3.2.1), which are often a token.

use std::net::IpAddr;
use std::ops::Range;

use super::ahead::{Ahead, Last};

/// What is not before a host: an image is named NAME:TAG@sha256:DIGEST.
const DIGESTS: [&str; 2] = ["sha256:", "sha512:"];

/// Where a message has the userinfo of a URL, or of HOST:PORT in quotes.
pub(super) fn of_message(text: &str) -> Vec<Range<usize>> {
    let mut ends = Ahead::new(text, is_end);
    let mut lines = Ahead::new(text, |c| c == '\n');
    let mut ats = Ahead::new(text, |c| c == '@');
    let mut last = Last::default();
    let mut found = Vec::new();
    for start in after_schemes(text) {
        let piece = start..ends.from(start);
        let end = before_host(text, &piece, last.at(text, &piece)).or_else(|| {
            // A password may have a quote or a space in it; what is before that is no host and port.
            let whole = Some(&text[piece.clone()]).filter(|whole| !whole.contains('/'));
            let (_, port) = whole?.rsplit_once(':')?;
            let is_password = port.parse::<u16>().is_err();
            Some(ats.from(start)).filter(|at| is_password && *at < lines.from(start))
        });
        found.extend(end.map(|end| start..end));
    }
    for piece in quoted(text) {
        let value = of_value(&text[piece.clone()]);
        let moved = |range: Range<usize>| piece.start + range.start..piece.start + range.end;
        found.extend(value.into_iter().map(moved));
    }
    found
}

/// The same in a value, all of which is one address, or a list of them.
pub(super) fn of_value(text: &str) -> Vec<Range<usize>> {
    if text.contains("://") {
        let last = text.rfind('@');
        return after_schemes(text)
            .filter_map(|start| Some(start..before_host(text, &(start..text.len()), last)?))
            .collect();
    }
    let Some((user, host)) = text.rsplit_once('@') else {
        return Vec::new();
    };
    let is_digest = DIGESTS.iter().any(|mark| host.starts_with(mark));
    let port = host.rsplit_once(':').map(|(_, port)| port.trim());
    let has_port = port.is_some_and(|port| port.len() <= 5 && port.parse::<u16>().is_ok());
    let secret = !is_digest && (user.contains(':') || has_port);
    secret.then_some(0..user.len()).into_iter().collect()
}

pub(super) fn after_schemes(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.match_indices("://").map(|(at, mark)| at + mark.len())
}

/// What stands in quotes and has an `@` and no space: an argument or a value that a message repeats.
fn quoted(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for mark in ['"', '`', '\''] {
        let mut marks = text.match_indices(mark).map(|(at, _)| at).peekable();
        while let Some(open) = marks.next() {
            let Some(&close) = marks.peek() else {
                break;
            };
            let piece = &text[open + 1..close];
            if piece.contains('@') && !piece.contains(is_end) {
                found.push(open + 1..close);
            }
        }
    }
    found
}

/// Where the userinfo of an authority, with its path, ends in `piece`, whose last `@` is at `last`. A password may
/// have a slash in it; what is before that is then no host and port.
fn before_host(text: &str, piece: &Range<usize>, last: Option<usize>) -> Option<usize> {
    let rest = &text[piece.clone()];
    // Ends at the next scheme at the latest, so that all of them are looked through once.
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let own = authority.rfind('@');
    if let Some(at) = own {
        // Behind the name of an account, `me@example.com:pa/ss@host`, a password may begin as a port does not.
        let behind = &authority[at + 1..];
        let port = behind.rsplit_once(':').map(|(_, port)| port);
        let is_host = behind.ends_with(']') || port.is_none_or(|port| port.parse::<u16>().is_ok());
        let own = Some(piece.start + at);
        return if is_host { own } else { last.max(own) };
    }
    let (host, port) = authority.rsplit_once(':')?;
    let is_port = authority.ends_with(']') || port.parse::<u16>().is_ok() && is_own(host);
    let at = last.filter(|at| *at >= piece.start)?;
    let is_digest = DIGESTS.iter().any(|mark| text[at + 1..].starts_with(mark));
    (!is_port && !is_digest).then_some(at)
}

/// Whether it is a host for sure: before any other name a number may begin a password, `user:12/secret@host`.
fn is_own(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

pub(super) fn is_end(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '`' | '\'')
}
