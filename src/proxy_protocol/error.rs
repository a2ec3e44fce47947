//! What is wrong with a header.

use thiserror::Error;

/// Why a PROXY protocol header cannot be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HeaderError {
    /// A version 2 header of family IPv4, IPv6 or Unix without room for its addresses.
    #[error("the PROXY protocol header announces {0} bytes, too few for its address family")]
    AddressesMissing(u16),
    /// The checksum of a version 2 header.
    #[error("the checksum (CRC-32C) of the PROXY protocol header is wrong")]
    Checksum,
    /// A command other than LOCAL and PROXY.
    #[error("the PROXY protocol header has the unknown command {0}")]
    Command(u8),
    /// A family or transport that version 2 does not know.
    #[error("the PROXY protocol header has the unknown family and transport {0:#04x}")]
    Family(u8),
    /// A line that is not as version 1 wants it.
    #[error(
        "the PROXY protocol line is not `PROXY TCP4 SOURCE DESTINATION PORT PORT`, the same with TCP6, or `PROXY UNKNOWN`"
    )]
    Line,
    /// A line without an end.
    #[error("the PROXY protocol line is longer than 107 bytes")]
    LineTooLong,
    /// Something else than a header.
    #[error(
        "the sender is in `proxy-protocol-from` and sent no PROXY protocol header: enable it there, or take its address out of the list"
    )]
    Missing,
    /// A version 2 header with two checksums.
    #[error("the PROXY protocol header has more than one checksum (CRC-32C)")]
    SecondChecksum,
    /// A header far larger than any in use.
    #[error("the PROXY protocol header announces {0} bytes, more than 4096")]
    TooLong(u16),
    /// A field that reaches behind the end of the header.
    #[error("a TLV of the PROXY protocol header reaches behind its end")]
    Tlv,
    /// A binary header of another version.
    #[error("the PROXY protocol header has version {0}, known are 1 and 2")]
    Version(u8),
}

impl HeaderError {
    /// Every label.
    pub const REASONS: [&'static str; 2] = ["proxy_header_missing", "proxy_header_invalid"];
}
