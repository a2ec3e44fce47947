//! Where a value was written: what a message names first.

use std::fmt;
use std::sync::Arc;

use super::key::Key;

/// Where a value was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In the environment.
    Environment(Box<str>),
    /// In the file.
    File {
        /// The file as the operator named it.
        path: Arc<str>,
        /// Counted from 1.
        line: usize,
        /// The key with its sections.
        key: Box<str>,
    },
    /// On the command line, by the flag without dashes.
    Flag(Box<str>),
}

impl Origin {
    /// The default place of a setting that nobody gave: its flag.
    pub(super) fn flag_of(key: Key) -> Self {
        Self::Flag(key.flag().into())
    }

    /// The same place, for another key of the same section.
    pub(super) fn with_key(&self, key: Key) -> Self {
        match self {
            Self::File { path, line, .. } => Self::File {
                path: path.clone(),
                line: *line,
                key: key.path().into(),
            },
            _ => Self::flag_of(key),
        }
    }

    /// The same place, for what stands at this path.
    pub(super) fn with_path(&self, key: &str) -> Self {
        match self {
            Self::File { path, line, .. } => Self::File {
                path: path.clone(),
                line: *line,
                key: key.into(),
            },
            other => other.clone(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(variable) => f.write_str(variable),
            Self::File { path, line, key } => write!(f, "{path}:{line}: {key}"),
            Self::Flag(flag) => write!(f, "--{flag}"),
        }
    }
}
