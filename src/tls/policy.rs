//! Which key exchange a client gets: the groups, the suites and the three policies.
//!
//! With its folder the only place that names a concrete group, cipher suite or TLS version. Pure: the hello comes in as
//! data, the decision goes out as data. Sources: RFC 8446 §4.2.7 and §9.1, draft-ietf-tls-ecdhe-mlkem.

mod error;
pub(super) mod kx;
mod suite;
mod unknown;

use std::fmt;

use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{NamedGroup, SupportedProtocolVersion, version};

pub use self::error::PolicyError;
pub use self::suite::Suite;
pub(crate) use self::suite::{confidentiality_limit, record_protection, suite_name};

/// The only version this product speaks (RFC 8446).
pub(crate) static VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// A key-exchange group a listener can negotiate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Group {
    /// 0x11ec: X25519 and ML-KEM-768.
    X25519MlKem768,
    /// 0x11eb: P-256 and ML-KEM-768.
    Secp256r1MlKem768,
    /// 0x11ed: P-384 and ML-KEM-1024.
    Secp384r1MlKem1024,
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
    /// Classical only.
    Classical,
}

impl Group {
    /// Every group, in the order of preference a listener has by default.
    pub const ALL: [Self; 6] = [
        Self::X25519MlKem768,
        Self::Secp256r1MlKem768,
        Self::Secp384r1MlKem1024,
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
            Self::X25519 => "X25519",
            Self::Secp256r1 => "secp256r1",
            Self::Secp384r1 => "secp384r1",
        }
    }

    /// Reads an IANA name, letter case aside; `P-256` and `P-384` are understood.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let wanted = match text.to_ascii_lowercase().as_str() {
            "p-256" | "prime256v1" => "secp256r1".to_owned(),
            "p-384" => "secp384r1".to_owned(),
            other => other.to_owned(),
        };
        Self::ALL
            .into_iter()
            .find(|group| group.name().eq_ignore_ascii_case(&wanted))
            .ok_or_else(|| unknown::group(text))
    }

    /// Whether this group protects against a later quantum computer.
    pub fn class(self) -> KxClass {
        match self {
            Self::X25519MlKem768 | Self::Secp256r1MlKem768 | Self::Secp384r1MlKem1024 => {
                KxClass::Hybrid
            }
            Self::X25519 | Self::Secp256r1 | Self::Secp384r1 => KxClass::Classical,
        }
    }

    /// The code point on the wire.
    pub fn code_point(self) -> NamedGroup {
        NamedGroup::from(match self {
            Self::X25519MlKem768 => 0x11ec,
            Self::Secp256r1MlKem768 => 0x11eb,
            Self::Secp384r1MlKem1024 => 0x11ed,
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
    pub(crate) fn key_exchange(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519MlKem768 => &kx::X25519_MLKEM768,
            Self::Secp256r1MlKem768 => &kx::SECP256R1_MLKEM768,
            Self::Secp384r1MlKem1024 => &kx::SECP384R1_MLKEM1024,
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
            Self::Classical => "classical",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a listener promises about the key exchange.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Hybrid for whoever lists a hybrid group, classical for the others.
    #[default]
    HybridPreferred,
    /// Hybrid or nothing.
    HybridRequired,
    /// Only classical groups, for comparison.
    ClassicalOnly,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [
        Self::HybridPreferred,
        Self::HybridRequired,
        Self::ClassicalOnly,
    ];

    /// The name in configuration and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::HybridPreferred => "hybrid-preferred",
            Self::HybridRequired => "hybrid-required",
            Self::ClassicalOnly => "classical-only",
        }
    }

    /// Reads a mode's name.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| unknown::mode(text))
    }

    fn admits(self, class: KxClass) -> bool {
        match self {
            Self::HybridPreferred => true,
            Self::HybridRequired => class == KxClass::Hybrid,
            Self::ClassicalOnly => class == KxClass::Classical,
        }
    }
}

/// A policy that cannot contradict itself: mode, groups in order of preference, suites.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsPolicy {
    mode: Mode,
    groups: Vec<Group>,
    /// The operator wrote the list: its order decides even at the price of a HelloRetryRequest.
    ordered: bool,
    suites: Vec<Suite>,
}

/// What a ClientHello says that the policy looks at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Offer {
    /// `supported_groups`, in the client's order.
    pub groups: Vec<NamedGroup>,
    /// Groups for which a key share was sent.
    pub shares: Vec<NamedGroup>,
}

impl Offer {
    /// What the client lists: `Hybrid` if any hybrid group known to this product is in it.
    pub fn class(&self) -> KxClass {
        let hybrid = |code: &NamedGroup| {
            Group::from_code_point(*code).is_some_and(|g| g.class() == KxClass::Hybrid)
        };
        if self.groups.iter().any(hybrid) {
            KxClass::Hybrid
        } else {
            KxClass::Classical
        }
    }

    /// Whether the client lists a group.
    fn lists(&self, group: Group) -> bool {
        self.groups.contains(&group.code_point())
    }

    fn shares(&self, group: Group) -> bool {
        self.shares.contains(&group.code_point())
    }
}

/// The listed groups by name, unknown ones by code point; values that only grease are left out.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let real = |code: &&NamedGroup| u16::from(**code) & 0x0f0f != 0x0a0a;
        for (index, code) in self.groups.iter().filter(real).enumerate() {
            let separator = if index == 0 { "" } else { "," };
            match Group::from_code_point(*code) {
                Some(group) => write!(f, "{separator}{group}")?,
                None => write!(f, "{separator}{:#06x}", u16::from(*code))?,
            }
        }
        Ok(())
    }
}

impl TlsPolicy {
    /// Builds a policy, or says which entry contradicts which promise.
    ///
    /// `groups` and `suites` of `None` take everything the mode admits, in the default order.
    pub fn new(
        mode: Mode,
        groups: Option<&[Group]>,
        suites: Option<&[Suite]>,
    ) -> Result<Self, PolicyError> {
        let ordered = groups.is_some();
        let groups = match groups {
            Some(list) => agreeing(mode, list)?,
            None => Group::ALL
                .into_iter()
                .filter(|group| mode.admits(group.class()))
                .collect(),
        };
        let suites = match suites {
            Some([]) => return Err(PolicyError::NoSuites),
            Some(list) => list.to_vec(),
            None => Suite::by_cost(),
        };
        Ok(Self {
            mode,
            groups,
            ordered,
            suites,
        })
    }

    /// The promise.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The groups in order of preference.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The suites in order of preference.
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }

    /// The group this client gets, or `None` if it lists none that the policy admits.
    ///
    /// The class is decided first: one listed hybrid group is enough, whatever was sent as a share.
    /// Inside the class an operator's list decides by its order; the default list takes a group
    /// whose share is already there, which saves a round trip.
    pub fn choose(&self, offer: &Offer) -> Option<Group> {
        let first = *self.groups.iter().find(|group| offer.lists(**group))?;
        if self.ordered {
            return Some(first);
        }
        let at_hand = |group: &&Group| {
            group.class() == first.class() && offer.lists(**group) && offer.shares(**group)
        };
        Some(self.groups.iter().find(at_hand).copied().unwrap_or(first))
    }

    /// The crypto provider that can negotiate `group` and nothing else.
    pub(crate) fn provider(&self, group: Group) -> CryptoProvider {
        CryptoProvider {
            kx_groups: vec![group.key_exchange()],
            cipher_suites: self.suites.iter().map(|s| s.implementation()).collect(),
            ..rustls_post_quantum::provider()
        }
    }
}

/// Checks an operator's list of groups against the promise of the mode.
fn agreeing(mode: Mode, list: &[Group]) -> Result<Vec<Group>, PolicyError> {
    if list.is_empty() {
        return Err(PolicyError::NoGroups);
    }
    let mut classical = None;
    for (index, group) in list.iter().enumerate() {
        if list[..index].contains(group) {
            return Err(PolicyError::Duplicate { group: *group });
        }
        if !mode.admits(group.class()) {
            return Err(PolicyError::Contradiction {
                mode,
                group: *group,
            });
        }
        match (group.class(), classical) {
            (KxClass::Classical, None) => classical = Some(*group),
            (KxClass::Hybrid, Some(before)) => {
                return Err(PolicyError::ClassicalFirst {
                    hybrid: *group,
                    classical: before,
                });
            }
            _ => {}
        }
    }
    if mode == Mode::HybridPreferred {
        let has = |class| list.iter().any(|group| group.class() == class);
        if !has(KxClass::Hybrid) {
            return Err(PolicyError::NeverHybrid);
        }
        if !has(KxClass::Classical) {
            return Err(PolicyError::NeverClassical);
        }
    }
    Ok(list.to_vec())
}

#[cfg(test)]
mod tests;
