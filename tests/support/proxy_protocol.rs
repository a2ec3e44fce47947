//! Headers of the PROXY protocol, as a proxy in front of hybridge sends them.

use std::net::{SocketAddr, SocketAddrV4};

/// Signature, version and command, family and transport, and the rest with its length.
pub fn binary(version: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    [
        &b"\r\n\r\n\0\r\nQUIT\n"[..],
        &[version, family],
        &length,
        body,
    ]
    .concat()
}

/// Addresses of two IPv4 ends as version 2 writes them.
pub fn four(source: SocketAddrV4) -> Vec<u8> {
    let port = source.port().to_be_bytes();
    [
        &source.ip().octets()[..],
        &[198, 51, 100, 1],
        &port,
        &[1, 0xbb],
    ]
    .concat()
}

/// A header of version 2 for a client with an IPv4 address.
pub fn version_2(source: &str) -> Vec<u8> {
    binary(0x21, 0x11, &four(source.parse().unwrap()))
}

/// A line of version 1.
pub fn version_1(source: &str) -> Vec<u8> {
    let source: SocketAddr = source.parse().unwrap();
    let (family, destination) = match source {
        SocketAddr::V4(_) => ("TCP4", "198.51.100.1"),
        SocketAddr::V6(_) => ("TCP6", "2001:db8::1"),
    };
    let (ip, port) = (source.ip(), source.port());
    format!("PROXY {family} {ip} {destination} {port} 443\r\n").into_bytes()
}
