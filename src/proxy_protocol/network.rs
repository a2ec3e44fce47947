//! Networks, as operators write them: an address, or an address and the length of a prefix.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// An IP address and how many of its first bits count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Any number of networks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Networks(Vec<Network>);

/// Why a text is no network.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum NetworkError {
    /// Everybody.
    #[error(
        "is every address: anybody could claim any address; write the networks of the proxies in front"
    )]
    Everybody,
    /// Bits behind the prefix.
    #[error("has bits set behind its prefix: write {0}")]
    HostBits(Network),
    /// No address, or no length of a prefix.
    #[error(
        "is not a network: write an IP address, or a network such as 10.0.0.0/8 or 2001:db8::/32"
    )]
    NotANetwork,
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NetworkError::NotANetwork)?;
        let address = written.to_canonical();
        let width = width(address);
        let bits = match bits {
            None => width,
            Some(bits) => parse_bits(bits)
                // Of an IPv4 address in IPv6 notation the first 96 bits are always the same.
                .and_then(|bits| bits.checked_sub(self::width(written) - width))
                .filter(|bits| *bits <= width)
                .ok_or(NetworkError::NotANetwork)?,
        };
        if bits == 0 {
            return Err(NetworkError::Everybody);
        }
        let network = Self {
            address: prefix(address, bits),
            bits,
        };
        if network.address == address {
            Ok(network)
        } else {
            Err(NetworkError::HostBits(network))
        }
    }
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        width(address) == width(self.address) && prefix(address, self.bits) == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Networks {
    /// Whether one of them contains the address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Network> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<T: IntoIterator<Item = Network>>(networks: T) -> Self {
        Self(networks.into_iter().collect())
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The first bits; the others are zero.
fn prefix(address: IpAddr, bits: u8) -> IpAddr {
    let beyond = u32::from(width(address).saturating_sub(bits));
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX.checked_shl(beyond).unwrap_or_default();
            Ipv4Addr::from_bits(four.to_bits() & mask).into()
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(beyond).unwrap_or_default();
            Ipv6Addr::from_bits(six.to_bits() & mask).into()
        }
    }
}

fn parse_bits(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_of_its_prefix_alone() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("128.0.0.0/1", "255.0.0.1", "127.0.0.1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"),
            ("::/1", "7fff::1", "192.0.2.7"),
        ] {
            let networks: Networks = [network.parse().unwrap()].into_iter().collect();
            assert!(networks.contain(inside.parse().unwrap()), "{network}");
            assert!(!networks.contain(outside.parse().unwrap()), "{network}");
        }
        assert!(!Networks::default().contain("192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "lb.example",
            "10.0.0.0/8/8",
            "::ffff:10.0.0.0/8",
        ] {
            assert_eq!(
                text.parse::<Network>(),
                Err(NetworkError::NotANetwork),
                "{text}"
            );
        }
        for text in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96"] {
            assert_eq!(
                text.parse::<Network>(),
                Err(NetworkError::Everybody),
                "{text}"
            );
        }
        let error = "10.1.2.3/8".parse::<Network>().unwrap_err();
        assert!(error.to_string().ends_with("write 10.0.0.0/8"), "{error}");
    }
}
