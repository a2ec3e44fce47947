//! How much a census keeps.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use strum::{EnumString, IntoStaticStr, VariantNames};

/// How much a census keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Kinds of client that are told apart in a window; 0: no census.
    pub size: usize,
    /// How much of an address.
    pub addresses: Addresses,
    /// How long a window is. The current one and the one before are kept.
    pub window: Duration,
}

impl Settings {
    /// No census.
    pub const OFF: Self = Self {
        size: 0,
        addresses: Addresses::None,
        window: Duration::from_hours(1),
    };
}

/// How much of a client's address is kept.
#[derive(Clone, Copy, Debug, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Addresses {
    /// Nothing.
    None,
    /// The first 24 bits of IPv4, the first 56 of IPv6.
    Prefix,
    /// All of it.
    Full,
}

/// As much of an address as is kept.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Source {
    address: IpAddr,
    /// Bits that count; `None`: all.
    bits: Option<u8>,
}

impl Addresses {
    pub(super) fn shown(self, address: IpAddr) -> Option<Source> {
        let address = address.to_canonical();
        match self {
            Self::None => None,
            Self::Full => Some(Source {
                address,
                bits: None,
            }),
            Self::Prefix => Some(match address {
                IpAddr::V4(address) => Source {
                    address: Ipv4Addr::from_bits(address.to_bits() & (!0 << 8)).into(),
                    bits: Some(24),
                },
                IpAddr::V6(address) => Source {
                    address: Ipv6Addr::from_bits(address.to_bits() & (!0 << 72)).into(),
                    bits: Some(56),
                },
            }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bits {
            Some(bits) => write!(f, "{}/{bits}", self.address),
            None => self.address.fmt(f),
        }
    }
}
