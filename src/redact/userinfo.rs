//! User and password before the host of a URL or of HOST:PORT (RFC 3986 §3.2.1), which are often a token.

use std::ops::Range;

/// What is not before a host: an image is named NAME:TAG@sha256:DIGEST.
const DIGESTS: [&str; 2] = ["sha256:", "sha512:"];

/// Where `text` has the userinfo of a URL.
pub(super) fn of_urls(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices("://").map(|(at, mark)| at + mark.len());
    let found = starts.filter_map(|start| {
        let rest = &text[start..];
        let end = rest.find(is_end).unwrap_or(rest.len());
        Some(start..start + before_host(&rest[..end])?)
    });
    found.collect()
}

/// The same in a value as a whole, which may have no scheme.
pub(super) fn of_value(text: &str) -> Vec<Range<usize>> {
    if text.contains("://") {
        return of_urls(text);
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

/// Where the userinfo of an authority, with its path, ends. A password may have a slash in it; what is
/// before that is then no host and port.
fn before_host(rest: &str) -> Option<usize> {
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    authority.rfind('@').or_else(|| {
        let (_, port) = authority.rsplit_once(':')?;
        let is_port = authority.ends_with(']') || port.parse::<u16>().is_ok();
        rest.rfind('@').filter(|_| !is_port)
    })
}

fn is_end(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '`' | '\'')
}
