//! What the table says of a key, and what follows from its place.

use super::{Key, Scope, variable};
use crate::config::value_type::{DefaultValue, ValueType};

impl Key {
    /// Place in the file, sections joined by dots.
    pub fn path(self) -> &'static str {
        self.row().path
    }

    /// The flag, without its dashes.
    pub fn flag(self) -> &'static str {
        self.row().flag
    }

    /// The environment variable.
    pub fn variable(self) -> String {
        variable(self.flag())
    }

    /// What it looks like.
    pub fn value_type(self) -> ValueType {
        self.row().value_type
    }

    /// What holds when nobody says anything.
    pub fn default(self) -> DefaultValue {
        self.row().default
    }

    /// What it is, in half a sentence.
    pub fn help(self) -> &'static str {
        self.row().help
    }

    /// The section of the file, without the key's own name.
    pub fn section(self) -> &'static str {
        self.path()
            .rsplit_once('.')
            .map_or("", |(section, _)| section)
    }

    /// The key's own name, without its section.
    pub fn name(self) -> &'static str {
        self.path().rsplit('.').next().unwrap_or_default()
    }

    /// Whose it is.
    pub(in crate::config) fn scope(self) -> Scope {
        match self.path().split('.').next() {
            Some("listener") => Scope::Listener,
            Some("egress") => Scope::Egress,
            _ => Scope::Process,
        }
    }

    /// Whether it means something only where HTTP is understood.
    pub(in crate::config) fn is_of_http(self) -> bool {
        matches!(
            self,
            Self::UpstreamHttp
                | Self::Forwarded
                | Self::Identity
                | Self::AccessLog
                | Self::StreamMetrics
                | Self::MaxStreams
                | Self::Signature
                | Self::SignatureKeys
                | Self::SignatureRequire
                | Self::SignatureCover
                | Self::SignatureMaxAge
                | Self::SignatureSkew
                | Self::SignatureReplayTable
                | Self::MaxHead
                | Self::MaxHeaders
                | Self::MaxIdleUpstreams
                | Self::HeadTimeout
                | Self::KeepAliveTimeout
                | Self::UpstreamIdleTimeout
                | Self::ClientTimeout
        )
    }

    /// Whether a flag may be repeated to make a list.
    pub fn is_list(self) -> bool {
        matches!(
            self.value_type(),
            ValueType::Addresses(_) | ValueType::Names | ValueType::Networks | ValueType::Words(_)
        )
    }

    pub(in crate::config) fn at(path: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key| key.path() == path)
    }
}
