//! Version 2: a signature, a length, addresses, and TLVs.

use std::net::{IpAddr, SocketAddr};

use super::crc32c::Crc32c;
use super::error::HeaderError;
use super::header::{Addresses, Header, begins};

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const START: usize = 16;

/// Headers with a certificate in them are of this size; nobody sends larger ones.
const LONGEST: u16 = 4096;

/// The TLV with the checksum of the whole header.
const CRC32C: u8 = 0x03;

pub(super) fn read(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    if !begins(bytes, &SIGNATURE) {
        return Err(HeaderError::Missing);
    }
    let Some((start, rest)) = bytes.split_first_chunk::<START>() else {
        return Ok(None);
    };
    let [.., version, family, high, low] = *start;
    let announced = u16::from_be_bytes([high, low]);
    if version >> 4 != 2 {
        return Err(HeaderError::Version(version >> 4));
    }
    let forwarded = match version & 0x0f {
        0 => false,
        1 => true,
        command => return Err(HeaderError::Command(command)),
    };
    if announced > LONGEST {
        return Err(HeaderError::TooLong(announced));
    }
    let Some(body) = rest.get(..announced.into()) else {
        return Ok(None);
    };
    let addresses = if forwarded {
        forwarded_addresses(start, family, body)?
    } else {
        None
    };
    Ok(Some(Header {
        length: START + body.len(),
        addresses,
    }))
}

/// The addresses that stand in front of the TLVs, if they are those of a TCP connection.
fn forwarded_addresses(
    start: &[u8; START],
    family: u8,
    body: &[u8],
) -> Result<Option<Addresses>, HeaderError> {
    let length = match (family >> 4, family & 0x0f) {
        // Of no known family: there is nothing that could be read.
        (0, 0..=2) => return Ok(None),
        (1, 0..=2) => 12,
        (2, 0..=2) => 36,
        (3, 0..=2) => 216,
        _ => return Err(HeaderError::Family(family)),
    };
    let Some((addresses, tlvs)) = body.split_at_checked(length) else {
        let announced = u16::try_from(body.len()).unwrap_or(u16::MAX);
        return Err(HeaderError::AddressesMissing(announced));
    };
    check_tlvs(start, body, tlvs)?;
    Ok(match family {
        0x11 => ends::<4>(addresses),
        0x21 => ends::<16>(addresses),
        _ => None,
    })
}

/// Source, destination, and the port of each.
fn ends<const LENGTH: usize>(bytes: &[u8]) -> Option<Addresses>
where
    [u8; LENGTH]: Into<IpAddr>,
{
    let (source, rest) = bytes.split_first_chunk::<LENGTH>()?;
    let (destination, ports) = rest.split_first_chunk::<LENGTH>()?;
    let [source_high, source_low, high, low] = *ports.first_chunk::<4>()?;
    let end =
        |address: [u8; LENGTH], port| SocketAddr::new(address.into(), u16::from_be_bytes(port));
    Some(Addresses::new(
        end(*source, [source_high, source_low]),
        end(*destination, [high, low]),
    ))
}

/// Every TLV must end inside the header, and the one checksum be right: each costs a pass over the header.
fn check_tlvs(start: &[u8; START], body: &[u8], mut tlvs: &[u8]) -> Result<(), HeaderError> {
    let mut summed = false;
    while !tlvs.is_empty() {
        let ([kind, high, low], rest) = tlvs.split_first_chunk().ok_or(HeaderError::Tlv)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, behind) = rest.split_at_checked(length).ok_or(HeaderError::Tlv)?;
        if *kind == CRC32C {
            if std::mem::replace(&mut summed, true) {
                return Err(HeaderError::SecondChecksum);
            }
            let before = body.len() - behind.len() - value.len();
            let checked = value.first_chunk().copied().map(u32::from_be_bytes);
            let mut sum = Crc32c::default();
            sum.add(start);
            sum.add(body.get(..before).unwrap_or_default());
            sum.add(&[0; 4]);
            sum.add(behind);
            if value.len() != 4 || checked != Some(sum.value()) {
                return Err(HeaderError::Checksum);
            }
        }
        tlvs = behind;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn header(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[version, family], &length, body].concat()
    }

    const FOUR: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 0x04, 0x01, 0xbb];

    fn four(tlvs: &[u8]) -> Vec<u8> {
        header(0x21, 0x11, &[&FOUR[..], tlvs].concat())
    }

    fn source(bytes: &[u8]) -> Option<SocketAddr> {
        let header = read(bytes).unwrap().unwrap();
        assert_eq!(header.length, bytes.len());
        header.addresses.map(|addresses| addresses.source)
    }

    #[test]
    fn the_client_of_a_forwarded_tcp_connection_is_read() {
        let client = Some("192.0.2.7:56324".parse().unwrap());
        assert_eq!(source(&four(&[])), client);
        assert_eq!(source(&four(&[0x04, 0, 2, 0, 0, 0xea, 0, 1, 9])), client);
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        six[15] = 7;
        six[33] = 80;
        let expected = "[2001:db8::7]:80".parse().unwrap();
        assert_eq!(source(&header(0x21, 0x21, &six)), Some(expected));
    }

    #[test]
    fn what_is_no_forwarded_tcp_connection_has_no_client() {
        let broken_tlv = [1, 0xff, 0xff];
        for bytes in [
            header(0x20, 0x00, &[]),
            header(0x20, 0x11, &FOUR),
            header(0x20, 0xff, &broken_tlv),
            header(0x21, 0x00, &[]),
            header(0x21, 0x00, &broken_tlv),
            header(0x21, 0x10, &FOUR),
            header(0x21, 0x12, &FOUR),
            header(0x21, 0x31, &[b'x'; 216]),
        ] {
            assert_eq!(source(&bytes), None, "{bytes:x?}");
        }
    }

    #[test]
    fn every_part_of_a_header_is_incomplete_and_what_follows_is_left() {
        let whole = four(&[0x04, 0, 1, 0]);
        for end in 1..whole.len() {
            assert_eq!(read(&whole[..end]), Ok(None), "{end}");
        }
        let followed = [&whole[..], b"\x16\x03\x01"].concat();
        assert_eq!(read(&followed).unwrap().unwrap().length, whole.len());
    }

    #[test]
    fn other_headers_are_refused() {
        let mut too_long = header(0x21, 0x11, &FOUR);
        too_long[14..16].copy_from_slice(&4097_u16.to_be_bytes());
        let mut longest = too_long.clone();
        longest[14..16].copy_from_slice(&4096_u16.to_be_bytes());
        assert_eq!(read(&longest), Ok(None));
        for (bytes, error) in [
            (
                b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
                HeaderError::Missing,
            ),
            (b"\r\n\r\nGET".to_vec(), HeaderError::Missing),
            (header(0x31, 0x11, &FOUR), HeaderError::Version(3)),
            (header(0x11, 0x11, &FOUR), HeaderError::Version(1)),
            (header(0x22, 0x11, &FOUR), HeaderError::Command(2)),
            (header(0x21, 0x41, &FOUR), HeaderError::Family(0x41)),
            (header(0x21, 0x13, &FOUR), HeaderError::Family(0x13)),
            (header(0x21, 0x03, &FOUR), HeaderError::Family(0x03)),
            (
                header(0x21, 0x11, &FOUR[..11]),
                HeaderError::AddressesMissing(11),
            ),
            (header(0x21, 0x21, &FOUR), HeaderError::AddressesMissing(12)),
            (header(0x21, 0x31, &FOUR), HeaderError::AddressesMissing(12)),
            (four(&[1]), HeaderError::Tlv),
            (four(&[1, 0]), HeaderError::Tlv),
            (four(&[1, 0, 1]), HeaderError::Tlv),
            (four(&[1, 0, 1, 9, 2, 0, 9, 1]), HeaderError::Tlv),
            (too_long, HeaderError::TooLong(4097)),
        ] {
            assert_eq!(read(&bytes), Err(error), "{bytes:x?}");
        }
    }

    #[test]
    fn a_checksum_is_verified() {
        let mut bytes = four(&[0x03, 0, 4, 0, 0, 0, 0, 0x02, 0, 1, b'a']);
        assert_eq!(read(&bytes), Err(HeaderError::Checksum));
        let mut sum = Crc32c::default();
        sum.add(&bytes);
        bytes[31..35].copy_from_slice(&sum.value().to_be_bytes());
        assert!(source(&bytes).is_some());
        bytes[38] ^= 1;
        assert_eq!(read(&bytes), Err(HeaderError::Checksum));
        // The first is right, and a second one is not looked at.
        let second = |first: [u8; 4]| {
            let tlvs = [&[0x03, 0, 4][..], &first, &[0x03, 0, 4, 0, 0, 0, 0]];
            four(&tlvs.concat())
        };
        let mut sum = Crc32c::default();
        sum.add(&second([0; 4]));
        let right = second(sum.value().to_be_bytes());
        assert_eq!(read(&right), Err(HeaderError::SecondChecksum));
        let short = four(&[0x03, 0, 2, 0, 0]);
        assert_eq!(read(&short), Err(HeaderError::Checksum));
    }
}
