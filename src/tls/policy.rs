//! Which key exchange a client gets: the groups, the suites and the policies.
//!
//! With its folder the only place that names a concrete group, cipher suite or TLS version. Pure: the hello comes in as
//! data, the decision goes out as data. Sources: RFC 8446 §4.2.7 and §9.1, draft-ietf-tls-ecdhe-mlkem.

mod error;
mod group;
pub(super) mod kx;
mod mode;
mod profile;
mod suite;
mod unknown;

use std::fmt;

use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::{NamedGroup, SupportedProtocolVersion, version};

pub use self::error::PolicyError;
pub use self::group::{Group, KxClass};
pub use self::mode::Mode;
pub use self::profile::{Profile, Requirement};
pub use self::suite::Suite;
pub(crate) use self::suite::{confidentiality_limit, record_protection, suite_name};
pub use self::unknown::UnknownName;

/// The only version this product speaks (RFC 8446).
pub(crate) static VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// Its name, as OpenSSL writes it.
pub(crate) const VERSION_NAME: &str = "TLSv1.3";

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
    /// What the client lists: `Hybrid` if any hybrid group known to this product is in it, else `Pure`.
    pub fn class(&self) -> KxClass {
        let groups = self.groups.iter();
        let classes = groups.filter_map(|code| Some(Group::from_code_point(*code)?.class()));
        let stronger = |best, class| match (best, class) {
            (KxClass::Hybrid, _) | (_, KxClass::Hybrid) => KxClass::Hybrid,
            (KxClass::Pure, _) | (_, KxClass::Pure) => KxClass::Pure,
            _ => KxClass::Classical,
        };
        classes.fold(KxClass::Classical, stronger)
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

    /// Whether a client would be refused if this policy had none of its classical groups. A policy that has no
    /// others is checked against all that this product knows.
    pub fn leaves_classical(&self, offer: &Offer) -> bool {
        let mut protected = self
            .groups
            .iter()
            .filter(|g| g.class() != KxClass::Classical)
            .peekable();
        if protected.peek().is_none() {
            return offer.class() == KxClass::Classical;
        }
        !protected.any(|group| offer.lists(*group))
    }

    /// The crypto provider that can negotiate `group` and nothing else.
    pub(crate) fn provider(&self, group: Group) -> CryptoProvider {
        self.provider_of(&[group])
    }

    /// The crypto provider of a client: every group, the first preferred. A server follows that order,
    /// or chooses by its own; either way it is a group of the policy.
    pub(crate) fn client_provider(&self) -> CryptoProvider {
        self.provider_of(&self.groups)
    }

    fn provider_of(&self, groups: &[Group]) -> CryptoProvider {
        CryptoProvider {
            kx_groups: groups.iter().map(|group| group.key_exchange()).collect(),
            cipher_suites: self.suites.iter().map(|s| s.implementation()).collect(),
            ..rustls_post_quantum::provider()
        }
    }
}

/// The algorithms by which the library can verify signatures.
pub(crate) fn of_library() -> WebPkiSupportedAlgorithms {
    rustls_post_quantum::provider().signature_verification_algorithms
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
