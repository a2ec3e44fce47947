//! Policies that contradict themselves, and names nobody knows.

use thiserror::Error;

use super::group::{Group, KxClass};
use super::mode::Mode;
use super::unknown::UnknownName;

fn class_of(group: Group) -> &'static str {
    match group.class() {
        KxClass::Pure => "post-quantum without a classical half",
        class => class.as_str(),
    }
}

fn remedy(group: Group) -> &'static str {
    match group.class() {
        KxClass::Pure => ", `pq-required` admits it",
        _ => "",
    }
}

/// A policy that contradicts itself or names what does not exist.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum PolicyError {
    /// A hybrid group after a classical one under hybrid-preferred.
    #[error(
        "groups: `{hybrid}` comes after `{classical}`, but policy `hybrid-preferred` gives every client that lists a hybrid group a hybrid one: put the hybrid groups first"
    )]
    ClassicalFirst {
        /// The entry that comes too late.
        hybrid: Group,
        /// The entry before it.
        classical: Group,
    },
    /// An entry of the class the mode excludes.
    #[error("groups: `{group}` is {class} and contradicts policy `{name}`: remove it or change the policy{remedy}", class = class_of(*group), name = mode.name(), remedy = remedy(*group))]
    Contradiction {
        /// The promise.
        mode: Mode,
        /// The entry.
        group: Group,
    },
    /// The same group twice.
    #[error("groups: `{group}` is listed twice: remove one")]
    Duplicate {
        /// The entry.
        group: Group,
    },
    /// hybrid-preferred with only hybrid groups.
    #[error(
        "groups: no classical group is listed, but policy `hybrid-preferred` serves clients without a hybrid group too: add `X25519`, or set policy `hybrid-required`"
    )]
    NeverClassical,
    /// hybrid-preferred with only classical groups.
    #[error(
        "groups: no hybrid group is listed, but policy `hybrid-preferred` promises one: add `X25519MLKEM768`, or set policy `classical-only`"
    )]
    NeverHybrid,
    /// An empty list of groups.
    #[error("groups: the list is empty: name at least one group, or leave it out for the default")]
    NoGroups,
    /// An empty list of suites.
    #[error(
        "cipher-suites: the list is empty: name at least one suite, or leave it out for the default"
    )]
    NoSuites,
    /// A name nobody knows.
    #[error(transparent)]
    Unknown(#[from] UnknownName),
}
