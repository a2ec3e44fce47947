//! Headers for an upstream, in either version.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::binary::SIGNATURE;
use super::header::Addresses;

/// nginx takes no header of more than about 1,024 bytes; names that would make it longer are left out.
const LONGEST: usize = 1000;

/// The connection of a client, as a TLV `PP2_TYPE_SSL` describes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls<'a> {
    /// As OpenSSL names it, `TLSv1.3`.
    pub version: &'a str,
    /// Name of the cipher suite.
    pub cipher: &'a str,
    /// Name of the key-exchange group.
    pub group: &'a str,
    /// What the client called the server (SNI).
    pub server_name: Option<&'a str>,
    /// Where it proved who it is.
    pub certificate: Certificate,
    /// The common name in its certificate.
    pub common_name: Option<&'a str>,
    /// The SPIFFE ID in its certificate.
    pub spiffe_id: Option<&'a str>,
}

/// Where a client presented a certificate that was verified.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Certificate {
    /// Nowhere.
    #[default]
    None,
    /// On this connection.
    Connection,
    /// On an earlier one, whose session is resumed.
    Session,
}

const PP2_TYPE_AUTHORITY: u8 = 0x02;
const PP2_TYPE_SSL: u8 = 0x20;
const PP2_SUBTYPE_SSL_VERSION: u8 = 0x21;
const PP2_SUBTYPE_SSL_CN: u8 = 0x22;
const PP2_SUBTYPE_SSL_CIPHER: u8 = 0x23;
const PP2_SUBTYPE_SSL_GROUP: u8 = 0x26;
/// The first type for applications; the SPIFFE ID, as linkerd and ghostunnel users ask for it.
const SPIFFE_ID: u8 = 0xe0;

const PP2_CLIENT_SSL: u8 = 0x01;
const PP2_CLIENT_CERT_CONN: u8 = 0x02;
const PP2_CLIENT_CERT_SESS: u8 = 0x04;

/// A line of version 1.
pub fn write_text(addresses: &Addresses) -> Vec<u8> {
    let (source, destination) = same_family(addresses);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (port, at) = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {port} {at}\r\n").into_bytes()
}

/// A header of version 2; what is known of the client's TLS, if it is to be said.
pub fn write_binary(addresses: &Addresses, tls: Option<&Tls<'_>>) -> Vec<u8> {
    let (source, destination) = same_family(addresses);
    let mut body = Vec::with_capacity(256);
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(four) => body.extend(four.octets()),
            IpAddr::V6(six) => body.extend(six.octets()),
        }
    }
    for port in [source.port(), destination.port()] {
        body.extend(port.to_be_bytes());
    }
    if let Some(tls) = tls {
        put_tls(&mut body, tls);
    }
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX);
    let mut header = SIGNATURE.to_vec();
    header.extend([0x21, family]);
    header.extend(length.to_be_bytes());
    header.append(&mut body);
    header
}

fn put_tls(body: &mut Vec<u8>, tls: &Tls<'_>) {
    let (client, verify) = match tls.certificate {
        Certificate::None => (0, 1_u32),
        Certificate::Connection => (PP2_CLIENT_CERT_CONN | PP2_CLIENT_CERT_SESS, 0),
        Certificate::Session => (PP2_CLIENT_CERT_SESS, 0),
    };
    let mut ssl = vec![PP2_CLIENT_SSL | client];
    ssl.extend(verify.to_be_bytes());
    put(&mut ssl, PP2_SUBTYPE_SSL_VERSION, tls.version);
    put(&mut ssl, PP2_SUBTYPE_SSL_CIPHER, tls.cipher);
    put(&mut ssl, PP2_SUBTYPE_SSL_GROUP, tls.group);
    // Signature and TLV heads included; the identity first, because an app decides by it.
    let mut left = LONGEST.saturating_sub(SIGNATURE.len() + 4 + body.len() + 3 + ssl.len());
    let mut fitting = |name: Option<&'_ str>| {
        let length = 3 + name?.len();
        left = left.checked_sub(length)?;
        Some(())
    };
    let spiffe_id = fitting(tls.spiffe_id).and(tls.spiffe_id);
    let common_name = fitting(tls.common_name).and(tls.common_name);
    let server_name = fitting(tls.server_name).and(tls.server_name);
    if let Some(name) = common_name {
        put(&mut ssl, PP2_SUBTYPE_SSL_CN, name);
    }
    if let Some(name) = server_name {
        put(body, PP2_TYPE_AUTHORITY, name);
    }
    put(body, PP2_TYPE_SSL, ssl);
    if let Some(id) = spiffe_id {
        put(body, SPIFFE_ID, id);
    }
}

/// A value that is too long for its field is left out.
fn put(out: &mut Vec<u8>, kind: u8, value: impl AsRef<[u8]>) {
    let value = value.as_ref();
    if let Ok(length) = u16::try_from(value.len()) {
        out.push(kind);
        out.extend(length.to_be_bytes());
        out.extend_from_slice(value);
    }
}

/// Both ends in one family: IPv4 in IPv6 notation, if they differ.
fn same_family(addresses: &Addresses) -> (SocketAddr, SocketAddr) {
    let Addresses {
        source,
        destination,
    } = *addresses;
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let six = |address: SocketAddr| SocketAddr::new(in_six(address.ip()).into(), address.port());
    (six(source), six(destination))
}

fn in_six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(four) => four.to_ipv6_mapped(),
        IpAddr::V6(six) => six,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::proxy_protocol::read;

    fn addresses(source: &str, destination: &str) -> Addresses {
        Addresses::new(source.parse().unwrap(), destination.parse().unwrap())
    }

    const TLS: Tls<'_> = Tls {
        version: "TLSv1.3",
        cipher: "CIPHER",
        group: "GROUP",
        server_name: Some("db.example.org"),
        certificate: Certificate::Connection,
        common_name: Some("batch"),
        spiffe_id: Some("spiffe://example.org/batch"),
    };

    #[test]
    fn what_is_written_is_read_again() {
        for addresses in [
            addresses("192.0.2.7:5000", "198.51.100.1:443"),
            addresses("[2001:db8::7]:5000", "[2001:db8::1]:443"),
            addresses("192.0.2.7:5000", "[2001:db8::1]:443"),
            addresses("[::ffff:192.0.2.7]:5000", "198.51.100.1:443"),
        ] {
            for header in [
                write_text(&addresses),
                write_binary(&addresses, None),
                write_binary(&addresses, Some(&TLS)),
            ] {
                let seen = read(&header).unwrap().unwrap();
                assert_eq!(seen.length, header.len());
                assert_eq!(seen.addresses, Some(addresses), "{}", header.escape_ascii());
            }
        }
        let line = write_text(&addresses("192.0.2.7:5000", "[2001:db8::1]:443"));
        let mixed = "PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 5000 443\r\n";
        assert_eq!(line, mixed.as_bytes());
    }

    #[test]
    fn the_facts_of_tls_are_tlvs() {
        let addresses = addresses("192.0.2.7:5000", "198.51.100.1:443");
        let header = write_binary(&addresses, Some(&TLS));
        let expected = b"\x02\0\x0edb.example.org\
            \x20\0\x28\x07\0\0\0\0\x21\0\x07TLSv1.3\x23\0\x06CIPHER\x26\0\x05GROUP\x22\0\x05batch\
            \xe0\0\x1aspiffe://example.org/batch";
        assert_eq!(&header[28..], expected, "{}", header.escape_ascii());
        let nobody = Tls {
            certificate: Certificate::None,
            common_name: None,
            spiffe_id: None,
            ..TLS
        };
        let header = write_binary(&addresses, Some(&nobody));
        // Not verified: a reader looks at `verify`, not at the name only.
        assert_eq!(header[28 + 17 + 3..][..5], [1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_header_has_less_than_a_kibibyte_and_keeps_the_identity() {
        let long = "x".repeat(700);
        let tls = Tls {
            server_name: Some(&long),
            common_name: Some(&long),
            spiffe_id: Some(&long),
            ..TLS
        };
        let addresses = addresses("[2001:db8::7]:5000", "[2001:db8::1]:443");
        let header = write_binary(&addresses, Some(&tls));
        assert!(header.len() <= LONGEST, "{}", header.len());
        assert!(header.ends_with(long.as_bytes()));
        assert!(read(&header).unwrap().is_some());
        let endless = "x".repeat(100_000);
        let tls = Tls {
            spiffe_id: Some(&endless),
            ..TLS
        };
        let header = write_binary(&addresses, Some(&tls));
        assert!(header.len() < 200, "{}", header.len());
        let exact = "x".repeat(LONGEST - header.len() - 3);
        let tls = Tls {
            spiffe_id: Some(&exact),
            ..TLS
        };
        assert_eq!(write_binary(&addresses, Some(&tls)).len(), LONGEST);
    }
}
