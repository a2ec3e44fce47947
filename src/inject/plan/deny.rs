//! Why a pod is refused: the closed set of reasons (metric label values) and the message the user sees.

use strum::{IntoStaticStr, VariantNames};
use thiserror::Error;

use crate::redact::scrub;

/// Characters of a message: more than any remedy needs.
const LONGEST: usize = 4096;

/// A refusal. The message names the thing, its value and the remedy; the API server shows it to the user.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}")]
pub struct Deny {
    reason: Reason,
    message: String,
}

impl Deny {
    /// The label value for metrics and the audit annotation.
    pub fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}

/// Every cause of a refusal.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub(crate) enum Reason {
    AnnotationValue,
    AppServesTls,
    DrainExceedsGrace,
    HostNetwork,
    LabelValue,
    Malformed,
    NameTaken,
    NativeUnsupported,
    NoServer,
    NotMovable,
    PortConflict,
    PortsRequired,
    ProbePort,
    ProbeTable,
    QueueProxy,
    SharedPid,
    TlsVolumeShared,
    UnknownAnnotation,
    UnknownLabel,
    UnknownServer,
    Windows,
}

impl Reason {
    /// A message may repeat what a manifest says, but nothing that may be a key, and not at any length.
    pub(crate) fn deny(self, message: impl Into<String>) -> Deny {
        let mut message = scrub(&message.into()).into_owned();
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(end);
            message.push('…');
        }
        Deny {
            reason: self,
            message,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}
