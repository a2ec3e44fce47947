//! What is scanned: a name or address with a port, and where that comes from.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// An endpoint as somebody wrote it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Target {
    /// A DNS name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Target {
    /// The name for `server_name`; an address has none.
    pub fn server_name(&self) -> Option<&str> {
        let is_name = self.host.parse::<IpAddr>().is_err();
        // Without the dot of the root (RFC 6066 §3).
        is_name.then_some(self.host.trim_end_matches('.'))
    }

    /// Every address of the name, in the resolver's order.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text is not repeated: a wrong file may be a key.
        let wrong = |why: &str| Err(format!("no HOST, HOST:PORT or https:// URL: {why}"));
        let rest = match text.split_once("://") {
            None => text,
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return wrong("the scheme is not https"),
        };
        if rest.len() == text.len() && is_network(rest) {
            return wrong(
                "a network is not one endpoint: list its hosts, or write https:// before a path",
            );
        }
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rest.contains('@') {
            return wrong("a user name is not taken");
        }
        if !rest.is_ascii() {
            return wrong("a name with other letters is written as DNS has it (xn--…)");
        }
        if rest.contains('%') {
            return wrong("an address with a zone is not taken");
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(inner) => {
                let Some((host, after)) = inner.split_once(']') else {
                    return wrong("a bracket is missing");
                };
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return wrong("there is text behind the bracket"),
                }
            }
            None if rest.matches(':').count() > 1 => (rest, None),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = match port.map(str::parse) {
            None => 443,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return wrong("a port is a number from 1 to 65535"),
        };
        if host.parse::<IpAddr>().is_err() && is_number(host) {
            return wrong(if port == 443 && host.parse::<u16>().is_ok() {
                "this is a port without a host: write HOST:PORT"
            } else {
                "an address is written in full, as 192.0.2.1"
            });
        }
        if host.parse::<IpAddr>().is_err() && !is_name(host) {
            return wrong("this is neither a DNS name nor an address");
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

/// `10.0.0.0/24`, with a port wherever it stands, or with a mask: dropped as a path, one of its hosts would stand for it.
fn is_network(text: &str) -> bool {
    text.split_once('/').is_some_and(|(_, size)| {
        let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b':');
        size.starts_with(|first: char| first.is_ascii_digit()) && size.bytes().all(is_part)
    })
}

/// What a resolver reads as an address in older notations, of which the last part is a number: `8443` is 0.0.32.251.
fn is_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let is_digit: fn(u8) -> bool = match hexadecimal {
        Some(_) => |byte| byte.is_ascii_hexdigit(),
        None => |byte| byte.is_ascii_digit(),
    };
    let digits = hexadecimal.unwrap_or(last);
    !last.is_empty() && digits.bytes().all(is_digit)
}

/// Letters, digits, hyphens, underscores and dots, as cluster and internal names are written.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() < 64 && label.bytes().all(is_part)
    };
    host.len() < 254 && host.trim_end_matches('.').split('.').all(is_label)
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The targets of a file, one a line, and the lines that are none with the reason. `#` begins a comment.
pub fn read_list(text: &[u8]) -> (Vec<Target>, Vec<String>) {
    let (mut targets, mut refused) = (Vec::new(), Vec::new());
    // The byte order mark that some editors write.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let Ok(line) = std::str::from_utf8(line) else {
            refused.push(format!("line {number}: not UTF-8"));
            continue;
        };
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        match line.parse() {
            Ok(target) => targets.push(target),
            Err(why) => refused.push(format!("line {number}: {why}")),
        }
    }
    (targets, refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_endpoint_is_read() {
        for (text, expected) in [
            ("a.example", "a.example:443"),
            ("a.example:8443", "a.example:8443"),
            ("https://a.example/v1", "a.example:443"),
            ("HTTPS://A.Example?x=1", "a.example:443"),
            ("10.0.0.1:6443", "10.0.0.1:6443"),
            ("::1", "[::1]:443"),
            ("a.example/v1", "a.example:443"),
            ("https://10.0.0.1/24", "10.0.0.1:443"),
            ("[::1]:8443", "[::1]:8443"),
        ] {
            let target: Target = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(target.to_string(), expected);
        }
    }

    #[test]
    fn a_bad_line_is_named_and_the_others_are_kept() {
        let (targets, refused) =
            read_list(b"\xef\xbb\xbfa:1\n# comment\nb:0\n\nc d\ne:2 # last\r\n\xff\n");
        assert_eq!(targets.len(), 2);
        assert_eq!(refused.len(), 3);
        assert!(refused[0].starts_with("line 3: no HOST"), "{refused:?}");
        assert!(refused[1].starts_with("line 5: no HOST"), "{refused:?}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("http://a.example", "scheme"),
            ("https://me:secret@a.example", "user name"),
            ("b\u{fc}cher.example", "xn--"),
            ("[fe80::1%lo]", "zone"),
            ("a.example:0", "port"),
            ("a b", "DNS name"),
            ("8443", "a port without a host"),
            ("https://8443/", "a port without a host"),
            ("8443:8443", "in full"),
            ("127.1", "in full"),
            ("0x7f000001", "in full"),
            ("10.0.0.256:443", "in full"),
            ("10.0.0.0/24", "a network"),
            ("10.0.0.0/255.255.255.0", "a network"),
            ("127.0.0.1:29443/24", "a network"),
            ("127.0.0.0/24:29443", "a network"),
            ("2001:db8::/32", "a network"),
        ] {
            let said = text.parse::<Target>().err().unwrap_or_default();
            assert!(said.contains(why) && !said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn an_address_has_no_server_name() {
        let name = |text: &str| {
            let target: Result<Target, _> = text.parse();
            target.ok().and_then(|t| t.server_name().map(str::to_owned))
        };
        assert_eq!(name("a.example").as_deref(), Some("a.example"));
        assert_eq!(name("[::1]:443"), None);
    }
}
