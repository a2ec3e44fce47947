//! The key-exchange groups by their IANA names (TLS Supported Groups registry) and rustls's implementation of each.

use std::fmt;
use std::str::FromStr;

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;
use serde::{Deserialize, Serialize};

use super::secp384r1mlkem1024::SECP384R1MLKEM1024;

/// A group this tool can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Group(&'static Entry);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Entry {
    name: &'static str,
    number: u16,
    hybrid: bool,
}

const ENTRIES: [Entry; 8] = [
    Entry {
        name: "X25519MLKEM768",
        number: 0x11ec,
        hybrid: true,
    },
    Entry {
        name: "SecP256r1MLKEM768",
        number: 0x11eb,
        hybrid: true,
    },
    Entry {
        name: "SecP384r1MLKEM1024",
        number: 0x11ed,
        hybrid: true,
    },
    Entry {
        name: "MLKEM768",
        number: 0x0201,
        hybrid: false,
    },
    Entry {
        name: "MLKEM1024",
        number: 0x0202,
        hybrid: false,
    },
    Entry {
        name: "X25519",
        number: 0x001d,
        hybrid: false,
    },
    Entry {
        name: "secp256r1",
        number: 0x0017,
        hybrid: false,
    },
    Entry {
        name: "secp384r1",
        number: 0x0018,
        hybrid: false,
    },
];

impl Group {
    pub const X25519MLKEM768: Self = Self(&ENTRIES[0]);
    pub const SECP256R1MLKEM768: Self = Self(&ENTRIES[1]);
    pub const SECP384R1MLKEM1024: Self = Self(&ENTRIES[2]);
    pub const X25519: Self = Self(&ENTRIES[5]);
    pub const SECP256R1: Self = Self(&ENTRIES[6]);
    pub const SECP384R1: Self = Self(&ENTRIES[7]);
    pub const ALL: [Self; 8] = [
        Self(&ENTRIES[0]),
        Self(&ENTRIES[1]),
        Self(&ENTRIES[2]),
        Self(&ENTRIES[3]),
        Self(&ENTRIES[4]),
        Self(&ENTRIES[5]),
        Self(&ENTRIES[6]),
        Self(&ENTRIES[7]),
    ];

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The code point on the wire.
    pub fn number(self) -> u16 {
        self.0.number
    }

    /// Classical and post-quantum combined, as against one of the two.
    pub fn is_hybrid(self) -> bool {
        self.0.hybrid
    }

    /// The implementation a client offers.
    pub fn exchange(self) -> &'static dyn SupportedKxGroup {
        match self.0.number {
            0x11eb => kx_group::SECP256R1MLKEM768,
            0x11ed => SECP384R1MLKEM1024,
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
        f.write_str(self.0.name)
    }
}

impl From<Group> for String {
    fn from(group: Group) -> Self {
        group.0.name.to_owned()
    }
}

impl TryFrom<String> for Group {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
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
