//! What a value looks like when it is written down, and what holds without one.

use std::fmt;

use super::size::size_text;

/// What a setting looks like when written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValueType {
    /// One listening address or several, such as this one.
    Addresses(&'static str),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A whole number between these two, inclusive.
    Count(u64, u64),
    /// A duration; zero is allowed.
    Delay,
    /// A duration above zero.
    Duration,
    /// Names, the first preferred.
    Names,
    /// IP addresses and networks.
    Networks,
    /// Path of a file.
    Path,
    /// A number from 0 to 1.
    Ratio,
    /// Bytes with a unit, between these two, inclusive.
    Size(u64, u64),
    /// true or false.
    Switch,
    /// Free text.
    Text,
    /// A duration above zero, or `none`.
    Timeout,
    /// Where the upstream listens.
    Upstream,
    /// Some of these words.
    Words(&'static [&'static str]),
}

impl ValueType {
    /// Continues the description, in messages, with what it may look like.
    pub(super) fn examples(self) -> &'static str {
        match self {
            Self::Delay | Self::Duration | Self::Timeout => {
                ", such as \"250ms\", \"5s\", \"2m\" or \"1h\""
            }
            _ => "",
        }
    }
}

impl fmt::Display for ValueType {
    /// Completes "is not …" in messages and the column "type" of the documentation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(example) => write!(f, "an address such as \"{example}\", or a list"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::Count(least, most) => write!(f, "a whole number from {least} to {most}"),
            Self::Delay => f.write_str("a duration from \"0s\" to \"720h\""),
            Self::Duration => f.write_str("a duration above zero up to \"720h\""),
            Self::Names => f.write_str("a list of names"),
            Self::Networks => f.write_str("a list of networks such as \"10.0.0.0/8\""),
            Self::Path => f.write_str("the path of a file"),
            Self::Ratio => f.write_str("a number from 0 to 1 such as 0.25"),
            Self::Size(least, most) => {
                let (least, most) = (size_text(*least), size_text(*most));
                write!(f, "a size from \"{least}\" to \"{most}\"")
            }
            Self::Switch => f.write_str("true or false"),
            Self::Text => f.write_str("a text"),
            Self::Timeout => f.write_str("\"none\" or a duration above zero up to \"720h\""),
            Self::Words(words) => write!(f, "a list of {}, or none", words.join(", ")),
            Self::Upstream => f.write_str("an address such as \"127.0.0.1:8000\""),
        }
    }
}

/// The value of a setting that nobody gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DefaultValue {
    /// This, as one would write it.
    Fixed(&'static str),
    /// Worked out at start, in these words.
    Derived(&'static str),
    /// None: the operator must give one.
    Required,
}
