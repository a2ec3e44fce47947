//! Profiles: the algorithms that a government agency names for TLS, and whether something is one of them. Pure.
//!
//! Sources: CNSA 2.0 (NSA, September 2022; FAQ 2.1, December 2024) for the algorithms, and
//! draft-becker-cnsa2-tls-profile for their use in TLS. Compliance is for an assessor: it also asks for a
//! validated module, which this build has not.

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::group::Group;
use super::mode::Mode;
use super::suite::Suite;

/// The algorithms that a listener is held to.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
pub enum Profile {
    /// None in particular.
    #[default]
    #[strum(serialize = "off")]
    Off,
    /// CNSA 2.0: MLKEM1024 only, ML-DSA-87, AES-256.
    #[strum(serialize = "cnsa-2.0")]
    Cnsa2,
    /// On the way there: P-384 beside ML-KEM-1024, and ECDSA with P-384 beside ML-DSA-87.
    #[strum(serialize = "cnsa-2.0-transition")]
    Cnsa2Transition,
}

impl Profile {
    /// The name in configuration and output.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The policy of a listener that says none; nothing without a profile.
    pub fn mode(self) -> Option<Mode> {
        match self {
            Self::Off => None,
            Self::Cnsa2 => Some(Mode::PqRequired),
            Self::Cnsa2Transition => Some(Mode::HybridRequired),
        }
    }

    /// The groups of a listener that names none.
    pub fn groups(self) -> &'static [Group] {
        match self {
            Self::Off => &[],
            Self::Cnsa2 => &[Group::MlKem1024],
            Self::Cnsa2Transition => &[Group::Secp384r1MlKem1024],
        }
    }

    /// The suites of a listener that names none.
    pub fn suites(self) -> &'static [Suite] {
        match self {
            Self::Off => &[],
            Self::Cnsa2 | Self::Cnsa2Transition => &[Suite::Aes256GcmSha384],
        }
    }

    /// Whether a policy keeps to the groups of the profile.
    pub fn admits_mode(self, mode: Mode) -> bool {
        match self {
            Self::Off => true,
            Self::Cnsa2 => mode == Mode::PqRequired,
            Self::Cnsa2Transition => matches!(mode, Mode::HybridRequired | Mode::PqRequired),
        }
    }

    /// Whether a key exchange is one of the profile's.
    pub fn admits_group(self, group: Group) -> bool {
        match self {
            Self::Off => true,
            Self::Cnsa2 => group == Group::MlKem1024,
            Self::Cnsa2Transition => matches!(group, Group::MlKem1024 | Group::Secp384r1MlKem1024),
        }
    }

    /// Whether a cipher suite is one of the profile's.
    pub fn admits_suite(self, suite: Suite) -> bool {
        self == Self::Off || suite == Suite::Aes256GcmSha384
    }

    /// Whether a certificate's key is of a kind of the profile, by the name that facts give it.
    pub fn admits_key(self, algorithm: &str) -> bool {
        match self {
            Self::Off => true,
            Self::Cnsa2 => algorithm == "ML-DSA-87",
            Self::Cnsa2Transition => matches!(algorithm, "ML-DSA-87" | "ECDSA P-384"),
        }
    }

    /// The same of a certificate's signature.
    pub fn admits_signature(self, algorithm: &str) -> bool {
        match self {
            Self::Off => true,
            Self::Cnsa2 => algorithm == "ML-DSA-87",
            Self::Cnsa2Transition => matches!(algorithm, "ML-DSA-87" | "ECDSA with SHA-384"),
        }
    }

    /// Whether sessions may be resumed.
    pub fn admits_tickets(self) -> bool {
        self != Self::Cnsa2
    }

    /// Whether a listener that is held to `other` keeps to this one.
    pub fn is_kept_by(self, other: Self) -> bool {
        match self {
            Self::Off => true,
            Self::Cnsa2 => other == Self::Cnsa2,
            Self::Cnsa2Transition => other != Self::Off,
        }
    }

    /// What a profile asks for; nothing without one.
    pub fn requirements(self) -> &'static [Requirement] {
        match self {
            Self::Off => &[],
            Self::Cnsa2 => &[
                Requirement::TlsVersion,
                Requirement::KeyExchange,
                Requirement::CipherSuite,
                Requirement::ServerKey,
                Requirement::ServerChain,
                Requirement::ClientCertificates,
                Requirement::Resumption,
                Requirement::EarlyData,
                Requirement::Upstream,
            ],
            Self::Cnsa2Transition => &[
                Requirement::TlsVersion,
                Requirement::KeyExchange,
                Requirement::CipherSuite,
                Requirement::ServerKey,
                Requirement::ServerChain,
                Requirement::ClientCertificates,
                Requirement::EarlyData,
                Requirement::Upstream,
            ],
        }
    }
}

/// One thing that a profile asks for.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "kebab-case")]
pub enum Requirement {
    /// The version of TLS.
    TlsVersion,
    /// The groups.
    KeyExchange,
    /// The cipher suites.
    CipherSuite,
    /// The keys that the listener signs with.
    ServerKey,
    /// The signatures in its certificate files, and the keys behind them.
    ServerChain,
    /// Keys and signatures of clients, where they are asked for any.
    ClientCertificates,
    /// Session tickets.
    Resumption,
    /// Data before the handshake is finished.
    EarlyData,
    /// What happens to the plaintext.
    Upstream,
}

const CNSA: &str = "CNSA 2.0 (NSA, 2022-09; FAQ 2.1, 2024-12)";
const TLS_PROFILE: &str = "draft-becker-cnsa2-tls-profile-05";

impl Requirement {
    /// Its name in reports and messages.
    pub fn id(self) -> &'static str {
        self.into()
    }

    /// The document that it comes from.
    pub fn source(self) -> &'static str {
        match self {
            Self::TlsVersion | Self::Resumption | Self::EarlyData => TLS_PROFILE,
            Self::KeyExchange
            | Self::CipherSuite
            | Self::ServerKey
            | Self::ServerChain
            | Self::ClientCertificates => CNSA,
            Self::Upstream => "hybridge: what leaves the host unencrypted has no algorithm",
        }
    }

    /// What it asks for.
    pub fn wanted(self, profile: Profile) -> &'static str {
        let strict = profile == Profile::Cnsa2;
        match self {
            Self::TlsVersion => "TLS 1.3",
            Self::KeyExchange if strict => "MLKEM1024 only",
            Self::KeyExchange => "SecP384r1MLKEM1024 or MLKEM1024",
            Self::CipherSuite => "TLS_AES_256_GCM_SHA384 only",
            Self::ServerKey if strict => "ML-DSA-87",
            Self::ServerKey => "ML-DSA-87 or ECDSA P-384",
            Self::ServerChain | Self::ClientCertificates if strict => "ML-DSA-87 throughout",
            Self::ServerChain | Self::ClientCertificates => {
                "ML-DSA-87, or ECDSA P-384 with SHA-384, throughout"
            }
            Self::Resumption => "no tickets: a pre-shared key is no certificate",
            Self::EarlyData => "none",
            Self::Upstream => "loopback or a Unix socket",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strict_profile_is_part_of_the_transition() {
        for group in Group::ALL {
            let strict = Profile::Cnsa2.admits_group(group);
            assert!(!strict || Profile::Cnsa2Transition.admits_group(group));
            assert!(Profile::Off.admits_group(group));
        }
        assert!(Profile::Cnsa2Transition.is_kept_by(Profile::Cnsa2));
        assert!(!Profile::Cnsa2.is_kept_by(Profile::Cnsa2Transition));
        assert!(!Profile::Cnsa2Transition.is_kept_by(Profile::Off));
    }

    #[test]
    fn key_exchange_is_the_profiles_own() {
        let admitted = |profile: Profile| {
            let groups = Group::ALL.into_iter();
            let groups = groups.filter(|group| profile.admits_group(*group));
            groups.map(Group::name).collect::<Vec<_>>()
        };
        assert_eq!(admitted(Profile::Cnsa2), ["MLKEM1024"]);
        let transition = ["SecP384r1MLKEM1024", "MLKEM1024"];
        assert_eq!(admitted(Profile::Cnsa2Transition), transition);
    }
}
