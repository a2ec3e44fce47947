//! ClientHellos to spoil: a real one, with a part of it replaced (RFC 8446 §4.1.2).

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::within;

pub const X25519MLKEM768: u16 = 0x11ec;
pub const X25519: u16 = 0x001d;

const SUPPORTED_GROUPS: u16 = 10;
const KEY_SHARE: u16 = 51;
/// Record header, handshake header, version, random.
const SESSION_ID: usize = 5 + 4 + 2 + 32;

/// A ClientHello of rustls in one record, with shares for X25519MLKEM768 and X25519.
pub fn hybrid() -> Vec<u8> {
    written(&[kx_group::X25519MLKEM768, kx_group::X25519])
}

/// A ClientHello of rustls in one record, with a share for X25519.
pub fn classical() -> Vec<u8> {
    written(&[kx_group::X25519])
}

fn written(groups: &[&'static dyn SupportedKxGroup]) -> Vec<u8> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = groups.to_vec();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The hello with the key share of a group altered.
pub fn with_share(hello: &[u8], group: u16, alter: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut altered = 0;
    let hello = with_extension(hello, KEY_SHARE, |data| {
        let mut shares = Vec::new();
        let mut rest = &data[2..];
        while let [a, b, c, d, tail @ ..] = rest {
            let (key, tail) = tail.split_at(usize::from(u16::from_be_bytes([*c, *d])));
            let mut key = key.to_vec();
            if u16::from_be_bytes([*a, *b]) == group {
                alter(&mut key);
                altered += 1;
            }
            shares.extend_from_slice(&[*a, *b]);
            shares.extend_from_slice(&with_length(&key));
            rest = tail;
        }
        with_length(&shares)
    });
    assert_eq!(altered, 1, "the hello has one share of {group:#06x}");
    hello
}

/// The hello with another code point in the place of a group, in the list and in the share.
pub fn renamed(hello: &[u8], from: u16, to: u16) -> Vec<u8> {
    let replace = |data: &[u8]| {
        let at = data
            .windows(2)
            .position(|pair| pair == from.to_be_bytes())
            .expect("the group is offered");
        let mut data = data.to_vec();
        data[at..at + 2].copy_from_slice(&to.to_be_bytes());
        data
    };
    with_extension(
        &with_extension(hello, SUPPORTED_GROUPS, replace),
        KEY_SHARE,
        replace,
    )
}

/// Rebuilds the hello with the data of one extension replaced, every length made right.
fn with_extension(hello: &[u8], wanted: u16, replace: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let suites = SESSION_ID + 1 + usize::from(hello[SESSION_ID]);
    let compression = suites + 2 + length_at(hello, suites);
    let extensions = compression + 1 + usize::from(hello[compression]);
    let mut replace = Some(replace);
    let (mut list, mut rest) = (Vec::new(), &hello[extensions + 2..]);
    while let [a, b, c, d, tail @ ..] = rest {
        let (data, tail) = tail.split_at(usize::from(u16::from_be_bytes([*c, *d])));
        let data = if u16::from_be_bytes([*a, *b]) == wanted {
            replace.take().expect("an extension comes once")(data)
        } else {
            data.to_vec()
        };
        list.extend_from_slice(&[*a, *b]);
        list.extend_from_slice(&with_length(&data));
        rest = tail;
    }
    assert!(replace.is_none(), "the hello has the extension");
    let body = [&hello[9..extensions], &with_length(&list)].concat();
    let message = [&[1, 0], &with_length(&body)[..]].concat();
    [&hello[..3], &with_length(&message)].concat()
}

/// The hello with an extension under a code point that nobody knows, which is as if it had none.
pub fn without(hello: &[u8], extension: u16) -> Vec<u8> {
    const UNKNOWN: [u8; 2] = [0x7a, 0x79];
    let suites = SESSION_ID + 1 + usize::from(hello[SESSION_ID]);
    let compression = suites + 2 + length_at(hello, suites);
    let mut at = compression + 1 + usize::from(hello[compression]) + 2;
    while length_at(hello, at) != usize::from(extension) {
        at += 4 + length_at(hello, at + 2);
    }
    let mut hello = hello.to_vec();
    hello[at..at + 2].copy_from_slice(&UNKNOWN);
    hello
}

/// The message of the hello with extensions behind it that nobody knows, `more` bytes of them. The
/// list has two bytes of length: beyond that its extensions are cut, and the message is still long.
pub fn padded(hello: &[u8], more: usize) -> Vec<u8> {
    let body = [&hello[9..], &vec![0; more]].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1], &length[1..], &body].concat()
}

fn length_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// Sends bytes and returns everything that comes back, to the end of the stream.
pub async fn answer_to(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    answer
}

/// A fatal alert in a plaintext record (RFC 8446 §6).
pub fn alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}
