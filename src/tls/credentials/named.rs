//! Whether a client can find the name that it connects to in a server's certificate (RFC 9525 §6).

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::facts::{address, printable};

/// Names in a message.
const SHOWN: usize = 3;
/// Of a DNS name, without the dot of the root, and of a label.
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Why no client can; a name that one of them has use for is enough.
pub(super) fn names_nobody(x509: &X509Certificate<'_>) -> Option<String> {
    let names = x509.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    if names.is_empty() {
        return Some("has no subject alternative name: clients refuse it whatever name they connect to (RFC 9525); have it issued with the DNS names or IP addresses of this server".to_owned());
    }
    if names.iter().any(is_of_use) {
        return None;
    }
    let shown: Vec<_> = names.iter().take(SHOWN).map(shown).collect();
    let more = if names.len() > SHOWN { ", …" } else { "" };
    Some(format!(
        "has no name that a client can connect to ({}{more}): clients refuse it (RFC 9525); have it issued with the DNS names of this server, without scheme and port and with `*` as the whole first label only, or with its IP addresses as such",
        shown.join(", ")
    ))
}

fn is_of_use(name: &GeneralName<'_>) -> bool {
    match name {
        GeneralName::DNSName(name) => is_dns_name(name),
        GeneralName::IPAddress(octets) => address(octets).is_some(),
        GeneralName::URI(uri) => !uri.is_empty(),
        _ => false,
    }
}

/// Clients look for an address among the addresses only.
fn is_dns_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=LONGEST_LABEL).contains(&label.len()) && label.bytes().all(is_part)
    };
    name.len() <= LONGEST && name.parse::<IpAddr>().is_err() && name.split('.').all(is_label)
}

fn shown(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS {}", printable(name)),
        GeneralName::RFC822Name(name) => format!("email {}", printable(name)),
        GeneralName::IPAddress(octets) => format!("an IP address of {} bytes", octets.len()),
        _ => "one of another kind".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_use_where_clients_compare_it() {
        for name in [
            "a.test",
            "*.a.test",
            "localhost",
            "a_b.test",
            "a.test.",
            "1.a.test",
        ] {
            assert!(is_of_use(&GeneralName::DNSName(name)), "{name}");
        }
        for name in [
            "127.0.0.1",
            "https://a.test",
            "a.test:8443",
            "*.*.test",
            "*",
            "a.*.test",
            "f*.b.test",
            "",
            "a..test",
            "::1",
            "*.",
        ] {
            assert!(!is_of_use(&GeneralName::DNSName(name)), "{name}");
        }
        assert!(is_of_use(&GeneralName::URI("spiffe://a.test/b")));
        assert!(is_of_use(&GeneralName::IPAddress(&[127, 0, 0, 1])));
        assert!(!is_of_use(&GeneralName::IPAddress(&[127, 0, 0, 1, 255])));
        assert!(!is_of_use(&GeneralName::RFC822Name("me@a.test")));
    }
}
