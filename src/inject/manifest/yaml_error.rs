//! Why a document cannot be read.

use saphyr_parser::ScanError;
use thiserror::Error;

use crate::redact::{Shown, lines, scrub};

/// Why a document cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum YamlError {
    /// Not YAML.
    #[error("not valid YAML: {}", lines(&scrub(&.0.to_string())))]
    Syntax(#[from] ScanError),
    /// YAML allows what JSON does not.
    #[error("{0} in YAML cannot be a Kubernetes object")]
    NotJson(&'static str),
    /// kubectl would take one of the two, silently.
    #[error("key {0:?} occurs twice in one mapping")]
    DuplicateKey(Shown),
    /// A text that its tag does not fit.
    #[error("{0} in YAML stands before a text that is none")]
    Tag(&'static str),
    /// A line ends for kubectl where none ends for other readers.
    #[error(
        "{name} in line {line} ends a line for kubectl and for no other reader; remove it, or write {escape} inside double quotes"
    )]
    LineBreak {
        /// Of the character.
        name: &'static str,
        /// Counted from 1.
        line: usize,
        /// How it is written.
        escape: &'static str,
    },
    /// Too deep or too large.
    #[error("the document is too {0}")]
    TooBig(&'static str),
}
