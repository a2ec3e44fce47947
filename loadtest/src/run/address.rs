//! Where a target and its metrics are, out of their URLs. A user, a password or a query is refused: nothing would be done
//! with it, and it would be kept with the results.

use std::net::{SocketAddr, ToSocketAddrs};

use hybridge_redact::Shown;

use crate::error::{Error, Result};
use crate::plan::Target;

/// Scheme and `host:port` of a target's URL.
pub(super) fn split_url(target: &Target) -> Result<(&str, String)> {
    let wrong = |message: &str| {
        let example = "write such as https://127.0.0.1:8443";
        Error::Usage(format!(
            "target {}: URL \"{}\" {message}; {example}",
            target.name,
            Shown::from(target.url.as_str())
        ))
    };
    let (scheme, rest) = target
        .url
        .split_once("://")
        .ok_or_else(|| wrong("has no scheme"))?;
    if rest.contains('@') {
        return Err(wrong("has a user or a password; no scenario sends one"));
    }
    if rest.contains(['?', '#']) {
        return Err(wrong("has a query; the scenarios choose their own"));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(wrong("has a path; the scenarios choose their own"));
    }
    let port = match scheme {
        "https" => 443,
        "http" => 80,
        "tls" => 0,
        _ => {
            return Err(wrong(
                "has an unknown scheme; known are https, http and tls",
            ));
        }
    };
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match (has_port, port) {
        (true, _) => Ok((scheme, authority.to_owned())),
        (false, 0) => Err(wrong("needs a port")),
        (false, port) => Ok((scheme, format!("{authority}:{port}"))),
    }
}

/// Where a server's metrics are; the path is `/metrics` always.
pub(super) fn metrics_address(url: &str) -> Result<SocketAddr> {
    let wrong = |message: &str| {
        let shown = Shown::from(url);
        let example = "write such as http://127.0.0.1:9443/metrics";
        Error::Usage(format!("metrics address \"{shown}\" {message}; {example}"))
    };
    let rest = url.strip_prefix("http://").unwrap_or(url);
    if rest.contains(['@', '?', '#']) {
        return Err(wrong("has a user, a password or a query; none is sent"));
    }
    let authority = rest.split('/').next().unwrap_or(rest);
    let found = authority.to_socket_addrs();
    let mut found = found.map_err(|error| wrong(&format!("does not resolve: {error}")))?;
    found.next().ok_or_else(|| wrong("does not resolve"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::Role;

    fn split(url: &str) -> Result<(String, String)> {
        let target = Target::new("a", url.to_owned(), Role::Subject, Vec::new());
        split_url(&target).map(|(scheme, address)| (scheme.to_owned(), address))
    }

    #[test]
    fn a_port_is_that_of_the_scheme_unless_written() {
        for (url, scheme, address) in [
            ("https://a.example", "https", "a.example:443"),
            ("http://a.example/", "http", "a.example:80"),
            ("tls://[::1]:8443", "tls", "[::1]:8443"),
        ] {
            assert_eq!(split(url).unwrap(), (scheme.into(), address.into()));
        }
    }

    #[test]
    fn a_secret_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "https://me:s3cr3t@127.0.0.1:1",
            "https://me:s3cr3t/x@127.0.0.1:1",
            "https://s3cr3t@127.0.0.1",
            "http://127.0.0.1:1?token=s3cr3t",
            "http://127.0.0.1:1/?token=s3cr3t",
            "http://127.0.0.1:1#s3cr3t",
            "ftp://me:s3cr3t@127.0.0.1",
            "me:s3cr3t@127.0.0.1:1",
        ] {
            for refused in [
                split(url).map(drop).unwrap_err(),
                metrics_address(url).map(drop).unwrap_err(),
            ] {
                let said = refused.to_string();
                assert!(!said.contains("s3cr3t"), "{url}: {said}");
                assert!(said.contains("127.0.0.1"), "{url}: {said}");
                assert_eq!(refused.exit_code(), 64, "{url}: {said}");
            }
        }
        let address = metrics_address("http://127.0.0.1:9443/metrics").unwrap();
        assert_eq!(address.to_string(), "127.0.0.1:9443");
    }
}
