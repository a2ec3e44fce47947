//! Manifests: where each kind keeps its pods.

pub(crate) mod kinds;
