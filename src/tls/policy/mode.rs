//! The policies: what a listener promises about the key exchange.

use super::group::KxClass;
use super::unknown::{self, UnknownName};

/// What a listener promises about the key exchange.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// Hybrid for clients that list a hybrid group, classical for the others.
    #[default]
    HybridPreferred,
    /// Hybrid or nothing.
    HybridRequired,
    /// Hybrid or post-quantum only, or nothing.
    PqRequired,
    /// Only classical groups, for comparison.
    ClassicalOnly,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 4] = [
        Self::HybridPreferred,
        Self::HybridRequired,
        Self::PqRequired,
        Self::ClassicalOnly,
    ];

    /// The name in configuration and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::HybridPreferred => "hybrid-preferred",
            Self::HybridRequired => "hybrid-required",
            Self::PqRequired => "pq-required",
            Self::ClassicalOnly => "classical-only",
        }
    }

    /// Reads a mode's name.
    pub fn parse(text: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| unknown::mode(text, &Self::ALL.map(Self::name)))
    }

    pub(super) fn admits(self, class: KxClass) -> bool {
        match self {
            Self::HybridPreferred => class != KxClass::Pure,
            Self::HybridRequired => class == KxClass::Hybrid,
            Self::PqRequired => class != KxClass::Classical,
            Self::ClassicalOnly => class == KxClass::Classical,
        }
    }
}
