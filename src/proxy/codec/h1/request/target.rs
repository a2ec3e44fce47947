//! What a request is for: its target in whichever form, and its host (RFC 9112 §3.2, RFC 9110 §7.2).

use std::borrow::Cow;

use crate::proxy::codec::h1::head_error::HeadError;

/// The target in origin-form, and the authority if it was in absolute-form (RFC 9112 §3.2).
pub(super) fn split_target<'b>(
    method: &str,
    target: &'b str,
) -> Result<(Cow<'b, str>, Option<&'b str>), HeadError> {
    if method == "CONNECT" {
        return Err(HeadError::Connect);
    }
    if target == "*" && method == "OPTIONS" {
        return Ok((target.into(), None));
    }
    if target.starts_with('/') {
        return Ok((origin_form(target)?.into(), None));
    }
    let (authority, path) = split_absolute(target).ok_or(HeadError::Target)?;
    match path {
        path if path.starts_with('/') => Ok((origin_form(path)?.into(), Some(authority))),
        // An empty path (RFC 3986 §6.2.3): `http://host`, `http://host?query`.
        query => {
            let target = format!("/{query}");
            Ok((origin_form(&target)?.to_owned().into(), Some(authority)))
        }
    }
}

/// The authority of a target in absolute form.
pub(crate) fn absolute_authority(target: &str) -> Option<&str> {
    split_absolute(target).map(|(authority, _)| authority)
}

/// The authority of a target in absolute form, and what follows it.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    let rest = ["http://", "https://"].into_iter().find_map(|scheme| {
        let start = target.get(..scheme.len())?;
        start
            .eq_ignore_ascii_case(scheme)
            .then(|| &target[scheme.len()..])
    })?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(rest.split_at(end))
}

/// A path and query without a fragment, which is not the server's business.
///
/// Besides what RFC 3986 allows, it may hold what browsers and curl leave as it is (the URL Standard's
/// percent-encode sets): `|`, `^`, `\`, `[]`, `{}`, UTF-8, and `"` in a path. The same rule as the http
/// crate's, by which HTTP/2 heads are read, so that no target is validated by its version.
fn origin_form(target: &str) -> Result<&str, HeadError> {
    /// The http crate counts in 16 bits.
    const LONGEST: usize = u16::MAX as usize - 1;
    if target.len() > LONGEST {
        return Err(HeadError::Target);
    }
    let mut part = PATH;
    for (at, byte) in target.bytes().enumerate() {
        match byte {
            byte if ALLOWED[byte as usize] & part != 0 => {}
            b'?' => part = QUERY,
            b'#' => return Ok(&target[..at]),
            _ => return Err(HeadError::Target),
        }
    }
    Ok(target)
}

const PATH: u8 = 1;
const QUERY: u8 = 2;
const HOST: u8 = 4;

/// What may stand in a host with its port.
const IN_HOST: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+,;=:[]";

/// What may stand in a path, in a query, and in a host.
const ALLOWED: [u8; 256] = {
    let mut allowed = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] = match byte as u8 {
            b'"' => PATH,
            b'?' | b'`' => QUERY,
            b'#' | b'<' | b'>' | 0..=b' ' | 0x7f => 0,
            _ => PATH | QUERY,
        };
        byte += 1;
    }
    let mut at = 0;
    while at < IN_HOST.len() {
        allowed[IN_HOST[at] as usize] |= HOST;
        at += 1;
    }
    allowed
};

/// A host and port; empty is allowed (RFC 9110 §7.2). The same rule as the http crate's, by which HTTP/2 heads are
/// read and written, so that no host is validated by the version of either side.
pub(crate) fn valid_host(host: &[u8]) -> bool {
    /// As many as an IPv6 address may have.
    const MOST_COLONS: u32 = 8;
    let (mut colons, mut percent) = (0, false);
    let (mut opened, mut closed) = (false, false);
    for byte in host {
        if ALLOWED[*byte as usize] & HOST == 0 {
            return false;
        }
        match byte {
            b':' if colons == MOST_COLONS => return false,
            b':' => colons += 1,
            b'[' if percent || opened => return false,
            b'[' => opened = true,
            b']' if closed || !opened => return false,
            // What was in brackets is an address.
            b']' => (closed, colons, percent) = (true, 0, false),
            b'%' => percent = true,
            _ => {}
        }
    }
    opened == closed && colons <= 1 && !percent
}
