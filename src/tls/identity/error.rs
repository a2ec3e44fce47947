//! Why an allow rule cannot be used; continues the rule that it names.

/// Why a rule cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct RuleError(pub(super) &'static str);
