//! Manifests: where each kind keeps its pods, what holds containers elsewhere, and of what type a scalar is.

pub(crate) mod kinds;
pub(crate) mod scalar;
pub(crate) mod unseen;
