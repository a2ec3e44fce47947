//! Names and numbers of what the injector puts into a pod, and of what it reads there.

/// Name of the sidecar container.
pub(crate) const NAME: &str = "hybridge";
/// Name of the volume with the key.
pub(crate) const TLS_VOLUME: &str = "hybridge-tls";
/// Name of the volume with the socket of the SPIFFE agent.
pub(crate) const AGENT_VOLUME: &str = "hybridge-spiffe";
/// Name of the init container that opens a sealed model.
pub(crate) const OPENER: &str = "hybridge-open";
/// Name of the volume of memory with the opened model.
pub(crate) const OPENED_VOLUME: &str = "hybridge-opened";
/// Name of the volume with the identity and the signer's public keys.
pub(crate) const SEALED_KEYS_VOLUME: &str = "hybridge-sealed-keys";
/// The sidecar's plaintext port for probes, metrics and the drain gate.
pub(crate) const ADMIN_PORT: u16 = 15400;
/// Where an injected sidecar takes tunnels.
pub(crate) const TUNNEL_PORT: u16 = 15443;
/// Where an app behind the sidecar listens.
pub(crate) const LOOPBACK: &str = "127.0.0.1";
/// What the names of our labels and annotations begin with.
pub(crate) const PREFIX: &str = "hybridge.dev/";
/// What the names of annotations begin with that the API server copies to a pod from its namespace.
pub(crate) const NAMESPACE_PREFIX: &str = "namespace.hybridge.dev/";
/// The annotation, without prefix, that accepts that other processes may read the key. Only the pod says it.
pub(crate) const SHARED_PID: &str = "allow-shared-pid";
/// The annotation that the injector writes. It is never read as a request.
pub(crate) const STATUS: &str = "hybridge.dev/status";
