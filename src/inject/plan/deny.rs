//! Why a pod is refused: the closed set of reasons (metric label values) and the message the user sees.

use strum::{IntoStaticStr, VariantNames};
use thiserror::Error;

use super::names::PREFIX;
use crate::redact::scrub;

/// Characters of a message: more than any remedy needs.
const LONGEST: usize = 4096;

/// A refusal. The message names the thing, its value and the remedy; the API server shows it to the user.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}")]
pub struct Deny {
    reason: Reason,
    /// The annotation with which the message begins.
    about: Option<String>,
    message: String,
}

impl Deny {
    /// The same with the annotation as `title` calls it, which knows who says its value.
    pub(crate) fn said_of(mut self, title: impl Fn(&str) -> String) -> Self {
        if let Some(name) = self.about.take()
            && let Some(rest) = self.message.strip_prefix(&pods_own(&name))
        {
            self.message = format!("{}{rest}", title(&name));
        }
        self
    }

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
            about: None,
            message,
        }
    }

    /// About an annotation: `what` goes on behind its name.
    pub(crate) fn about(self, name: &str, what: &str) -> Deny {
        Deny {
            about: Some(name.to_owned()),
            ..self.deny(format!("{}{what}", pods_own(name)))
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How messages call an annotation of the pod.
pub(crate) fn pods_own(name: &str) -> String {
    format!("annotation {PREFIX}{name}")
}
