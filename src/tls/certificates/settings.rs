//! What a listener is told of its further certificates.

use std::path::PathBuf;

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::name::ServedName;

/// Most pairs of one listener beside its first: each is compared in every handshake.
pub(crate) const MOST_PAIRS: usize = 64;

/// What a listener is told of its further certificates.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Pairs beside `cert` and `key`, in the operator's order.
    pub further: Vec<PairSettings>,
    /// What happens to a client that asks for a name of no pair.
    pub unknown_name: UnknownName,
    /// When an ML-DSA pair stands beside another pair of the same name.
    pub pq_certificate: PqCertificate,
}

impl Settings {
    /// The most pairs beside the first.
    pub const MOST: usize = MOST_PAIRS;
}

/// One pair.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairSettings {
    /// PEM chain, leaf first.
    pub cert: PathBuf,
    /// PEM private key of the leaf.
    pub key: PathBuf,
    /// Names it is for; empty: those in the certificate.
    pub names: Vec<ServedName>,
}

/// What happens to a client that asks for a name of no pair.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UnknownName {
    /// It gets the listener's first pair.
    #[default]
    Default,
    /// The handshake ends with alert 112.
    Refuse,
}

/// When an ML-DSA pair is given to a client, beside another pair of the same name.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum PqCertificate {
    /// For the names that the operator wrote to it.
    #[default]
    ExplicitNames,
    /// For each of its names.
    Always,
}
