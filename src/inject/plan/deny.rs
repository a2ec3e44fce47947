//! Why a pod is refused: the closed set of reasons (metric label values) and the message the user sees.

use std::fmt;

use thiserror::Error;

use crate::redact::scrub;

/// A refusal. The message names the thing, its value and the remedy; the API server shows it to the user.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{message}")]
pub struct Deny {
    reason: Reason,
    message: String,
}

impl Deny {
    /// A message may repeat what a manifest says, but nothing that may be a key.
    pub(crate) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: scrub(&message.into()).into_owned(),
        }
    }

    /// The label value for metrics and the audit annotation.
    pub fn reason(&self) -> &'static str {
        self.reason.as_str()
    }
}

/// Every cause of a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
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
    pub(crate) const ALL: [Self; 21] = [
        Self::AnnotationValue,
        Self::AppServesTls,
        Self::DrainExceedsGrace,
        Self::HostNetwork,
        Self::LabelValue,
        Self::Malformed,
        Self::NameTaken,
        Self::NativeUnsupported,
        Self::NoServer,
        Self::NotMovable,
        Self::PortConflict,
        Self::PortsRequired,
        Self::ProbePort,
        Self::ProbeTable,
        Self::QueueProxy,
        Self::SharedPid,
        Self::TlsVolumeShared,
        Self::UnknownAnnotation,
        Self::UnknownLabel,
        Self::UnknownServer,
        Self::Windows,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AnnotationValue => "annotation_value",
            Self::AppServesTls => "app_serves_tls",
            Self::DrainExceedsGrace => "drain_exceeds_grace",
            Self::HostNetwork => "host_network",
            Self::LabelValue => "label_value",
            Self::Malformed => "malformed",
            Self::NameTaken => "name_taken",
            Self::NativeUnsupported => "native_unsupported",
            Self::NoServer => "no_server",
            Self::NotMovable => "not_movable",
            Self::PortConflict => "port_conflict",
            Self::PortsRequired => "ports_required",
            Self::ProbePort => "probe_port",
            Self::ProbeTable => "probe_table",
            Self::QueueProxy => "queue_proxy",
            Self::SharedPid => "shared_pid",
            Self::TlsVolumeShared => "tls_volume_shared",
            Self::UnknownAnnotation => "unknown_annotation",
            Self::UnknownLabel => "unknown_label",
            Self::UnknownServer => "unknown_server",
            Self::Windows => "windows",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
