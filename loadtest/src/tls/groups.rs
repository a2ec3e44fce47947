//! The key-exchange groups by their IANA names (TLS Supported Groups registry) and rustls's implementation of each.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// A group this tool can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "String")]
pub struct Group {
    name: &'static str,
    number: u16,
}

impl Group {
    pub const X25519MLKEM768: Self = Self::new("X25519MLKEM768", 0x11ec);
    pub const SECP256R1MLKEM768: Self = Self::new("SecP256r1MLKEM768", 0x11eb);
    pub const SECP384R1MLKEM1024: Self = Self::new("SecP384r1MLKEM1024", 0x11ed);
    const MLKEM768: Self = Self::new("MLKEM768", 0x0201);
    const MLKEM1024: Self = Self::new("MLKEM1024", 0x0202);
    pub const X25519: Self = Self::new("X25519", 0x001d);
    pub const SECP256R1: Self = Self::new("secp256r1", 0x0017);
    pub const SECP384R1: Self = Self::new("secp384r1", 0x0018);
    pub const ALL: [Self; 8] = [
        Self::X25519MLKEM768,
        Self::SECP256R1MLKEM768,
        Self::SECP384R1MLKEM1024,
        Self::MLKEM768,
        Self::MLKEM1024,
        Self::X25519,
        Self::SECP256R1,
        Self::SECP384R1,
    ];

    const fn new(name: &'static str, number: u16) -> Self {
        Self { name, number }
    }

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The code point on the wire.
    pub fn number(self) -> u16 {
        self.number
    }

    /// Classical and post-quantum combined, as against one of the two.
    pub fn is_hybrid(self) -> bool {
        matches!(
            self,
            Self::X25519MLKEM768 | Self::SECP256R1MLKEM768 | Self::SECP384R1MLKEM1024
        )
    }

    /// Without a post-quantum half.
    pub fn is_classical(self) -> bool {
        matches!(self, Self::X25519 | Self::SECP256R1 | Self::SECP384R1)
    }

    /// The implementation a client offers.
    pub fn exchange(self) -> &'static dyn SupportedKxGroup {
        match self.number {
            0x11eb => kx_group::SECP256R1MLKEM768,
            0x11ed => hybridge_groups::SECP384R1_MLKEM1024,
            0x0201 => kx_group::MLKEM768,
            0x0202 => kx_group::MLKEM1024,
            0x001d => kx_group::X25519,
            0x0017 => kx_group::SECP256R1,
            0x0018 => kx_group::SECP384R1,
            _ => kx_group::X25519MLKEM768,
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl From<Group> for String {
    fn from(group: Group) -> Self {
        group.name.to_owned()
    }
}

impl<'de> Deserialize<'de> for Group {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|group| group.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| {
                let known: Vec<_> = Self::ALL.iter().map(|group| group.name()).collect();
                format!(
                    "unknown key-exchange group \"{name}\"; known are {}",
                    known.join(", ")
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_is_implemented_under_its_own_code_point() {
        for group in Group::ALL {
            assert_eq!(
                u16::from(group.exchange().name()),
                group.number(),
                "{group}"
            );
        }
    }

    #[test]
    fn an_unknown_group_is_named_in_the_error() {
        let error = "X448".parse::<Group>().map(Group::name);
        assert!(error.is_err_and(|text| text.contains("X448") && text.contains("X25519MLKEM768")));
    }
}
