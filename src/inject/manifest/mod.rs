//! Manifests: where each kind keeps its pods, and of what type a scalar is.

pub(crate) mod kinds;
pub(crate) mod scalar;
