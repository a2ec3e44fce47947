//! The key-exchange groups, and what each protects against.

use std::fmt;

use rustls::NamedGroup;
use rustls::crypto::SupportedKxGroup;

use super::kx;
use super::unknown::{self, UnknownName};

/// A key-exchange group a listener can negotiate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Group {
    /// 0x11ec: X25519 and ML-KEM-768.
    X25519MlKem768,
    /// 0x11eb: P-256 and ML-KEM-768.
    Secp256r1MlKem768,
    /// 0x11ed: P-384 and ML-KEM-1024.
    Secp384r1MlKem1024,
    /// 0x0202: pure ML-KEM-1024.
    MlKem1024,
    /// 0x001d.
    X25519,
    /// 0x0017.
    Secp256r1,
    /// 0x0018.
    Secp384r1,
}

/// Whether a recorded connection can be decrypted by a quantum computer later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KxClass {
    /// Post-quantum and classical combined: both would have to be broken.
    Hybrid,
    /// Without a classical half: nothing is left if it is broken.
    Pure,
    /// Classical only.
    Classical,
}

impl Group {
    /// Every group, in the order of preference a listener has by default.
    pub const ALL: [Self; 7] = [
        Self::X25519MlKem768,
        Self::Secp256r1MlKem768,
        Self::Secp384r1MlKem1024,
        Self::MlKem1024,
        Self::X25519,
        Self::Secp256r1,
        Self::Secp384r1,
    ];

    /// The name in the IANA TLS Supported Groups registry.
    pub fn name(self) -> &'static str {
        match self {
            Self::X25519MlKem768 => "X25519MLKEM768",
            Self::Secp256r1MlKem768 => "SecP256r1MLKEM768",
            Self::Secp384r1MlKem1024 => "SecP384r1MLKEM1024",
            Self::MlKem1024 => "MLKEM1024",
            Self::X25519 => "X25519",
            Self::Secp256r1 => "secp256r1",
            Self::Secp384r1 => "secp384r1",
        }
    }

    /// Reads an IANA name, letter case aside; `P-256` and `P-384` are understood.
    pub fn parse(text: &str) -> Result<Self, UnknownName> {
        let wanted = match text.to_ascii_lowercase().as_str() {
            "p-256" | "prime256v1" => "secp256r1".to_owned(),
            "p-384" => "secp384r1".to_owned(),
            "ml-kem-1024" => "mlkem1024".to_owned(),
            other => other.to_owned(),
        };
        Self::ALL
            .into_iter()
            .find(|group| group.name().eq_ignore_ascii_case(&wanted))
            .ok_or_else(|| unknown::group(text, &Self::ALL.map(Self::name)))
    }

    /// Whether this group protects against a later quantum computer.
    pub fn class(self) -> KxClass {
        match self {
            Self::X25519MlKem768 | Self::Secp256r1MlKem768 | Self::Secp384r1MlKem1024 => {
                KxClass::Hybrid
            }
            Self::MlKem1024 => KxClass::Pure,
            Self::X25519 | Self::Secp256r1 | Self::Secp384r1 => KxClass::Classical,
        }
    }

    /// The code point on the wire.
    pub fn code_point(self) -> NamedGroup {
        NamedGroup::from(match self {
            Self::X25519MlKem768 => 0x11ec,
            Self::Secp256r1MlKem768 => 0x11eb,
            Self::Secp384r1MlKem1024 => 0x11ed,
            Self::MlKem1024 => 0x0202,
            Self::X25519 => 0x001d,
            Self::Secp256r1 => 0x0017,
            Self::Secp384r1 => 0x0018,
        })
    }

    /// The group of a code point, if it is one of ours.
    pub fn from_code_point(code: NamedGroup) -> Option<Self> {
        let code = u16::from(code);
        Self::ALL
            .into_iter()
            .find(|group| u16::from(group.code_point()) == code)
    }

    /// The implementation, with its time measured.
    pub fn key_exchange(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519MlKem768 => &kx::X25519_MLKEM768,
            Self::Secp256r1MlKem768 => &kx::SECP256R1_MLKEM768,
            Self::Secp384r1MlKem1024 => &kx::SECP384R1_MLKEM1024,
            Self::MlKem1024 => &kx::MLKEM1024,
            Self::X25519 => &kx::X25519,
            Self::Secp256r1 => &kx::SECP256R1,
            Self::Secp384r1 => &kx::SECP384R1,
        }
    }
}

impl KxClass {
    /// The label value and log field.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Pure => "post-quantum",
            Self::Classical => "classical",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
