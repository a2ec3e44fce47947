//! What listeners and egresses of one process share, whatever its configuration is at the time.

use std::sync::Arc;

use crate::listener::Accepting;
use crate::metrics::Metrics;
use crate::proxy::{OwnPorts, UpstreamPermits};
use crate::signature::ReplayTables;
use crate::traces::Traces;
use crate::worker::Workers;

/// Shared by every listener and egress, and by reloads.
#[derive(Clone)]
pub(super) struct Base {
    pub(super) metrics: Arc<Metrics>,
    /// Connections live on them after the listeners have ended.
    pub(super) workers: Arc<Workers>,
    pub(super) permits: Arc<UpstreamPermits>,
    /// What no tunnel leads to.
    pub(super) own_ports: Arc<OwnPorts>,
    /// Where listeners accept: no spans go there.
    pub(super) accepting: Arc<Accepting>,
    /// Where spans go.
    pub(super) traces: Arc<Traces>,
    /// Signatures of requests that were seen.
    pub(super) replays: Arc<ReplayTables>,
}
