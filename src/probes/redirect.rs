//! Where a redirect leads. The kubelet's client follows one to the host that it asked (Go's net/http, and
//! `RedirectChecker` of its HTTP prober); what leads elsewhere is not asked, and counts as success.

use std::net::{IpAddr, SocketAddr};

use super::escape::{decoded, escaped, text_of};

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

/// Path and query of a probe as they are asked for first: the kubelet encodes a path too, and drops a fragment.
pub(super) fn asked(target: &str) -> String {
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    escaped(path).map_or_else(|| target.to_owned(), |path| path + query)
}

/// Resolves `location` of a response to `target` of the app at `app` (RFC 3986 §5.2), as net/url does; `None` if it is
/// no URL.
pub(super) fn resolve(location: &[u8], target: &str, app: SocketAddr) -> Option<Next> {
    if location.iter().any(u8::is_ascii_control) {
        return None;
    }
    let location = text_of(location);
    let (location, fragment) = location.split_once('#').unwrap_or((&location, ""));
    decoded(fragment)?;
    let (scheme, rest) = split_scheme(location)?;
    if scheme.is_some_and(|scheme| !scheme.eq_ignore_ascii_case("http")) {
        return Some(Next::Elsewhere);
    }
    let (path, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
    let is_path = scheme.is_none() && path.starts_with("///");
    let Some(rest) = path.strip_prefix("//").filter(|_| !is_path) else {
        // `http:health` names no host.
        return match scheme {
            Some(_) => Some(Next::Elsewhere),
            None => within(path, query, target),
        };
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.is_empty() && scheme.is_none() {
        return within(path, query, target);
    }
    let is_app = is_app(authority, app)?;
    let path = escaped(path)?;
    if !is_app {
        return Some(Next::Elsewhere);
    }
    Some(Next::App {
        target: without_dots(&path) + query,
        names_host: true,
    })
}

/// A path and a query of the app itself.
fn within(path: &str, query: &str, target: &str) -> Option<Next> {
    let path = escaped(path)?;
    Some(Next::App {
        target: relative(&path, query, target),
        names_host: false,
    })
}

/// A scheme (RFC 3986 §3.1) and what follows its colon; `None` where a colon stands that can end none.
fn split_scheme(location: &str) -> Option<(Option<&str>, &str)> {
    let end = location.find(['/', '?']).unwrap_or(location.len());
    let Some(colon) = location[..end].find(':') else {
        return Some((None, location));
    };
    let scheme = &location[..colon];
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    is_scheme.then(|| (Some(scheme), &location[colon + 1..]))
}

/// Whether an authority is the app as it was asked; `None` if it is no authority.
fn is_app(authority: &str, app: SocketAddr) -> Option<bool> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let may_stand = |b: u8, more: &[u8]| {
        b >= 0x80
            || b.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:%".contains(&b)
            || more.contains(&b)
    };
    decoded(user)?;
    if !user.bytes().all(|b| b < 0x80 && may_stand(b, b"@"))
        || !host.bytes().all(|b| may_stand(b, b"[]<>\""))
    {
        return None;
    }
    let (host, port) = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let is_host = host.parse::<IpAddr>() == Ok(app.ip());
    let is_port = match port.strip_prefix(':') {
        None if !port.is_empty() => return None,
        None | Some("") => app.port() == 80,
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => port.parse() == Ok(app.port()),
        Some(_) => return None,
    };
    Some(is_host && is_port)
}

fn relative(path: &str, query: &str, target: &str) -> String {
    let asked = target.split('?').next().unwrap_or_default();
    if path.is_empty() {
        return match query {
            "" => target.to_owned(),
            query => format!("{asked}{query}"),
        };
    }
    if path.starts_with('/') {
        return without_dots(path) + query;
    }
    let folder = asked.rfind('/').map_or("", |end| &asked[..end]);
    without_dots(&format!("{folder}/{path}")) + query
}

/// A path without the segments `.` and `..` (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
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
    format!("/{}", kept.join("/"))
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
            ("/a b", "/a%20b", false),
            ("a b?c d", "/v1/health/a%20b?c d", false),
            ("/ä%C3%A4?ä", "/%C3%A4%C3%A4?ä", false),
            ("/a%2Fb c", "/a/b%20c", false),
            ("/a%2f%20!'()*[]", "/a%2f%20!'()*[]", false),
            ("/a %21'()*[]", "/a%20%21%27%28%29%2A%5B%5D", false),
            ("/a\"<>{}|^`\\", "/a%22%3C%3E%7B%7D%7C%5E%60%5C", false),
            ("/a?b=%zz", "/a?b=%zz", false),
            ("/a/%2e%2e/b", "/a/%2e%2e/b", false),
            ("/a/../../b", "/b", false),
            ("/x:y", "/x:y", false),
            ("./a:b", "/v1/health/a:b", false),
            ("*", "/v1/health/*", false),
            ("///x", "///x", false),
            ("//", "/v1/health/?full=1", false),
            ("//?x", "/v1/health/?x", false),
            ("//127.0.0.1:8000//b/../c", "//c", true),
            ("http://127.0.0.1:8000/a b?c d", "/a%20b?c d", true),
            ("http://u:p@127.0.0.1:8000/x", "/x", true),
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
            "http:health",
            "http:/health",
            "http://",
            "http:///x",
            "http://ä/",
            "http://127.0.0.1:99999/",
        ] {
            assert_eq!(next(location), Some(Next::Elsewhere), "{location}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for location in [
            "/a\tb",
            "/a\u{7f}",
            "/a%zz",
            "/a%2",
            "/a#%zz",
            ":x",
            "1a:b",
            "ht tp://x/",
            "http://a:b/",
            "http://[::1/",
            "http://[::1]x/",
            "http://a b/x",
            "//x y",
            "http://127.0.0.1 :8000/",
            "http://u v@127.0.0.1:8000/x",
            "http://x/%zz",
        ] {
            assert_eq!(next(location), None, "{location}");
        }
    }

    #[test]
    fn a_probe_is_asked_as_the_kubelet_asks() {
        for (target, first) in [
            ("/v1/models?a={b}", "/v1/models?a={b}"),
            ("/{ä}?ä#c", "/%7B%C3%A4%7D?ä"),
            ("/a%2Fb%zz", "/a%2Fb%zz"),
        ] {
            assert_eq!(asked(target), first);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_encoded() {
        let app = SocketAddr::from(([127, 0, 0, 1], 1));
        let next = resolve(b"/\xff\x80?\xff", "/", app);
        let target = "/%FF%80?%FF".to_owned();
        let names_host = false;
        assert_eq!(next, Some(Next::App { target, names_host }));
    }
}
