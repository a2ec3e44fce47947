//! Where a value was written: what a message names first.

use std::sync::Arc;

use super::key::Key;

/// Where a value was written.
#[derive(Clone, Debug, Eq, PartialEq, strum::Display)]
pub enum Origin {
    /// Nowhere: it is the default.
    #[strum(to_string = "default")]
    Default,
    /// In the environment.
    #[strum(to_string = "{0}")]
    Environment(Box<str>),
    /// In the file.
    #[strum(to_string = "{path}:{line}: {key}")]
    File {
        /// The file as the operator named it.
        path: Arc<str>,
        /// Counted from 1.
        line: usize,
        /// The key with its sections.
        key: Box<str>,
    },
    /// On the command line, by the flag without dashes.
    #[strum(to_string = "--{0}")]
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
