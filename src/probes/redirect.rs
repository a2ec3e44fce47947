//! Where a redirect leads. The kubelet's client follows one to the host that it asked (Go's net/http, and
//! `RedirectChecker` of its HTTP prober); what leads elsewhere is not asked, and counts as success.

use std::net::{IpAddr, SocketAddr};

/// Requests for one check, the first included (net/http).
pub(super) const MOST_REQUESTS: usize = 10;

/// What is asked next.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// This path and query of the app; a location that names the host is asked with that host's name.
    App { target: String, names_host: bool },
    /// Another host, another port, or TLS.
    Elsewhere,
}

/// Whether a response of this status has the location of what is meant (RFC 9110 §15.4).
pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301..=303 | 307 | 308)
}

/// Resolves `location` of a response to `target` of the app at `app` (RFC 3986 §5.2); `None` if it is no URL.
pub(super) fn resolve(location: &[u8], target: &str, app: SocketAddr) -> Option<Next> {
    let location = std::str::from_utf8(location).ok()?;
    if !location.bytes().all(|b| b.is_ascii_graphic() || b >= 0x80) {
        return None;
    }
    let location = location.split('#').next().unwrap_or_default();
    let (scheme, rest) = split_scheme(location);
    if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case("http")) {
        return Some(Next::Elsewhere);
    }
    if let Some(rest) = rest.strip_prefix("//") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if !is_app(authority, app)? {
            return Some(Next::Elsewhere);
        }
        return Some(Next::App {
            target: absolute(rest),
            names_host: true,
        });
    }
    if scheme.is_some() {
        // `http:health` names no host.
        return None;
    }
    Some(Next::App {
        target: relative(rest, target),
        names_host: false,
    })
}

/// `http` and what follows the colon; a colon behind a slash or a question mark ends no scheme.
fn split_scheme(location: &str) -> (Option<&str>, &str) {
    match location.split_once(':') {
        Some((scheme, rest)) if !scheme.is_empty() && !scheme.contains(['/', '?']) => {
            (Some(scheme), rest)
        }
        _ => (None, location),
    }
}

/// Whether an authority is the app as it was asked; `None` if it is no authority.
fn is_app(authority: &str, app: SocketAddr) -> Option<bool> {
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (host, port) = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let port = match port.strip_prefix(':') {
        None | Some("") => 80,
        Some(port) => port.parse().ok()?,
    };
    let is_host = host.parse::<IpAddr>() == Ok(app.ip());
    Some(is_host && port == app.port())
}

/// A path of an absolute location, which may be empty.
fn absolute(rest: &str) -> String {
    if rest.starts_with('/') {
        without_dots(rest)
    } else {
        format!("/{rest}")
    }
}

fn relative(rest: &str, target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    if rest.is_empty() {
        return target.to_owned();
    }
    if rest.starts_with('?') {
        return format!("{path}{rest}");
    }
    if rest.starts_with('/') {
        return without_dots(rest);
    }
    let folder = path.rfind('/').map_or("", |end| &path[..end]);
    without_dots(&format!("{folder}/{rest}"))
}

/// Removes the segments `.` and `..` (RFC 3986 §5.2.4); the query stays as it is.
fn without_dots(target: &str) -> String {
    let end = target.find('?').unwrap_or(target.len());
    let (path, query) = target.split_at(end);
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => {
                kept.push(segment);
                continue;
            }
        }
        // `/a/..` is a folder: `/`.
        if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(location: &str) -> Option<Next> {
        let app = SocketAddr::from(([127, 0, 0, 1], 8000));
        resolve(location.as_bytes(), "/v1/health/?full=1", app)
    }

    #[test]
    fn a_location_of_the_app_is_followed_in_all_its_forms() {
        for (location, target, names_host) in [
            ("/health", "/health", false),
            ("/a/./b/../c?x=/../y#part", "/a/c?x=/../y", false),
            ("/a/..", "/", false),
            ("ready", "/v1/health/ready", false),
            ("../ready", "/v1/ready", false),
            ("../../../x", "/x", false),
            ("?full=0", "/v1/health/?full=0", false),
            ("#top", "/v1/health/?full=1", false),
            ("a:b/c", "", false),
            ("http://127.0.0.1:8000/health", "/health", true),
            ("HTTP://127.0.0.1:8000?x", "/?x", true),
            ("//127.0.0.1:8000", "/", true),
        ] {
            let expected = if target.is_empty() {
                Next::Elsewhere
            } else {
                Next::App {
                    target: target.to_owned(),
                    names_host,
                }
            };
            assert_eq!(next(location), Some(expected), "{location}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_not_asked() {
        for location in [
            "http://127.0.0.1/health",
            "http://127.0.0.1:8001/",
            "http://127.0.0.2:8000/",
            "http://localhost:8000/",
            "http://127.0.0.1:8000@example.org:8000/",
            "//example.org/health",
            "https://127.0.0.1:8000/health",
            "http://[::1]:8000/",
        ] {
            assert_eq!(next(location), Some(Next::Elsewhere), "{location}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for location in [
            "/a b",
            "/a\tb",
            "http:health",
            "http://a:b/",
            "http://[::1/",
        ] {
            assert_eq!(next(location), None, "{location}");
        }
        assert_eq!(
            resolve(b"/\xff", "/", SocketAddr::from(([127, 0, 0, 1], 1))),
            None
        );
    }
}
