//! Who a connection comes from, as far as fairness goes.

use std::net::IpAddr;

/// The part of an address that one party usually has to itself.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Source {
    /// The first 24 bits.
    V4([u8; 3]),
    /// The first 64 bits.
    V6([u8; 8]),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let upper = address.octets().first_chunk().copied();
                Self::V4(upper.unwrap_or_default())
            }
            IpAddr::V6(address) => {
                let upper = address.octets().first_chunk().copied();
                Self::V6(upper.unwrap_or_default())
            }
        }
    }
}
