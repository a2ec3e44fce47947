//! Version 1: one line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::error::HeaderError;
use super::header::{Addresses, Header, begins};

const START: &[u8] = b"PROXY ";

/// The longest line, CR LF included.
const LONGEST: usize = 107;

pub(super) fn read(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    if !begins(bytes, START) {
        return Err(HeaderError::Missing);
    }
    let possible = bytes.get(..LONGEST).unwrap_or(bytes);
    let end = possible
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = match end.map(|end| possible.split_at(end)) {
        Some((line, [b'\r', b'\n', ..])) => line,
        Some((_, [b'\r'])) | None if possible.len() < LONGEST => return Ok(None),
        Some((_, [b'\r'])) | None => return Err(HeaderError::LineTooLong),
        Some(_) => return Err(HeaderError::Line),
    };
    Ok(Some(Header {
        length: line.len() + 2,
        addresses: addresses(line)?,
    }))
}

fn addresses(line: &[u8]) -> Result<Option<Addresses>, HeaderError> {
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Line)?;
    let words: Vec<&str> = line.split(' ').collect();
    let addresses = match words[..] {
        // What follows is to be ignored.
        ["PROXY", "UNKNOWN", ..] => return Ok(None),
        ["PROXY", "TCP4", ref ends @ ..] => ends_of::<Ipv4Addr>(ends),
        ["PROXY", "TCP6", ref ends @ ..] => ends_of::<Ipv6Addr>(ends),
        _ => None,
    };
    addresses.map(Some).ok_or(HeaderError::Line)
}

fn ends_of<A: FromStr + Into<IpAddr>>(ends: &[&str]) -> Option<Addresses> {
    let [source, destination, source_port, destination_port] = *ends else {
        return None;
    };
    let end = |address: &str, port: &str| {
        let address: A = address.parse().ok()?;
        Some(SocketAddr::new(address.into(), parse_port(port)?))
    };
    Some(Addresses::new(
        end(source, source_port)?,
        end(destination, destination_port)?,
    ))
}

/// Decimal without sign or leading zeros.
fn parse_port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    (plain && !padded).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn whole(line: &str) -> Header {
        read(line.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_line_names_both_ends() {
        let line = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
        let header = whole(&format!("{line}\x16\x03\x01"));
        assert_eq!(header.length, line.len());
        let addresses = header.addresses.unwrap();
        assert_eq!(addresses.source, "192.0.2.7:56324".parse().unwrap());
        assert_eq!(addresses.destination, "198.51.100.1:443".parse().unwrap());
        let six = whole("PROXY TCP6 2001:db8::7 ::1 1 65535\r\n")
            .addresses
            .unwrap();
        assert_eq!(six.source, "[2001:db8::7]:1".parse().unwrap());
        let mapped = whole("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n")
            .addresses
            .unwrap();
        assert_eq!(mapped.source, "192.0.2.7:1".parse().unwrap());
    }

    #[test]
    fn unknown_names_none_whatever_follows() {
        for line in [
            "PROXY UNKNOWN\r\n",
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
        ] {
            let header = whole(line);
            assert_eq!((header.length, header.addresses), (line.len(), None));
        }
    }

    #[test]
    fn every_part_of_a_line_is_incomplete() {
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n";
        for end in 0..line.len() {
            assert_eq!(read(&line[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn other_lines_are_refused() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(120));
        let padded = format!("PROXY UNKNOWN {}\r", "x".repeat(92));
        assert_eq!(padded.len(), LONGEST);
        for (line, error) in [
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\n",
                HeaderError::Line,
            ),
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\rx",
                HeaderError::Line,
            ),
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
                HeaderError::Line,
            ),
            (
                "PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
                HeaderError::Line,
            ),
            (
                "PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",
                HeaderError::Line,
            ),
            ("PROXY TCP4 2001:db8::7 ::1 1 2\r\n", HeaderError::Line),
            ("PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n", HeaderError::Line),
            (
                "PROXY TCP4 192.0.2.007 192.0.2.8 1 2\r\n",
                HeaderError::Line,
            ),
            ("PROXY TCP4 192.0.2.7 192.0.2.8 +1 2\r\n", HeaderError::Line),
            ("PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n", HeaderError::Line),
            (
                "PROXY TCP4 192.0.2.7 192.0.2.8 1 65536\r\n",
                HeaderError::Line,
            ),
            (
                "PROXY TCP4 host.example 192.0.2.8 1 2\r\n",
                HeaderError::Line,
            ),
            ("PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n", HeaderError::Line),
            ("PROXY \r\n", HeaderError::Line),
            (&long, HeaderError::LineTooLong),
            (&padded, HeaderError::LineTooLong),
            ("PROXYTCP4", HeaderError::Missing),
            ("POST / HTTP/1.1\r\n\r\n", HeaderError::Missing),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HeaderError::Missing),
        ] {
            assert_eq!(read(line.as_bytes()), Err(error), "{line}");
        }
        assert_eq!(read(b"PROXY UNKNOWN \xff\r\n"), Err(HeaderError::Line));
    }
}
