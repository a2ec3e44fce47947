//! Requests to `/drain/wait`: few, bounded in time, and none when no drain begins.
//!
//! The kubelet runs a preStop hook whenever it ends a container: at the deletion of the pod, where the
//! sidecar's own hook begins a drain at the same moment, and at a restart by a failed liveness or
//! startup probe, where nothing drains and the hook must return for SIGTERM to come.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::drain::{self, Drain, Phase};
use crate::listener::{Activity, Admission};
use crate::metrics::ListenerSockets;

/// Requests that wait at once: one for each container of a pod. The oldest of the network with the most
/// of them makes room for another.
pub const MAX_WAITERS: usize = 16;
/// How long a drain may take to begin. Both hooks start together; the sidecar's is a process that has
/// to be started.
const BEGINS_WITHIN: Duration = Duration::from_secs(3);

/// Requests that wait for the end of a drain.
pub struct Waiters {
    permits: Arc<Admission>,
    /// Those of the pod itself: its hooks may come by loopback, and no neighbour pushes them out.
    local: Arc<Admission>,
    /// No drain takes longer.
    longest: Mutex<Duration>,
}

impl Waiters {
    /// None waits yet.
    pub fn new(settings: &drain::Settings) -> Self {
        Self {
            permits: Admission::new(MAX_WAITERS, ListenerSockets::default()),
            local: Admission::new(MAX_WAITERS, ListenerSockets::default()),
            longest: Mutex::new(longest(settings)),
        }
    }

    /// A drain may take this long from now on.
    pub fn set_longest(&self, settings: &drain::Settings) {
        *self.longest.lock().unwrap_or_else(PoisonError::into_inner) = longest(settings);
    }

    /// Waits until a drain is complete, at most for `requested`; never begins one.
    pub(super) async fn wait(
        &self,
        drain: &Drain,
        requested: Option<Duration>,
        client: IpAddr,
        connection: &Activity,
    ) -> (StatusCode, String) {
        let permits = if client.to_canonical().is_loopback() {
            &self.local
        } else {
            &self.permits
        };
        // Once a drain runs, the waiters are hooks that hold a pod's end up: no later one replaces them.
        let permit = match drain.phase() {
            Phase::Running => permits.try_enter(client),
            Phase::LameDuck | Phase::Draining | Phase::Aborting => permits.try_enter_free(client),
        };
        let Some(permit) = permit else {
            return too_many();
        };
        // The connection has work: it does not make room for a new one.
        connection.begin();
        let longest = *self.longest.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = requested.map_or(longest, |requested| requested.min(longest));
        let response = tokio::select! {
            response = drained(drain, longest) => response,
            () = permit.activity().shed() => too_many(),
        };
        connection.idle(Instant::now());
        response
    }
}

fn longest(settings: &drain::Settings) -> Duration {
    settings.delay.saturating_add(settings.timeout)
}

async fn drained(drain: &Drain, longest: Duration) -> (StatusCode, String) {
    let mut phase = drain.observe();
    let begun = phase.wait_for(|now| *now >= Phase::LameDuck);
    match tokio::time::timeout(BEGINS_WITHIN.min(longest), begun).await {
        Ok(Ok(_)) => {}
        _ => return (StatusCode::OK, "no drain has begun\n".to_owned()),
    }
    match tokio::time::timeout(longest, drain.finished()).await {
        Ok(()) => (StatusCode::OK, "drained\n".to_owned()),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, not_drained(drain)),
    }
}

fn not_drained(drain: &Drain) -> String {
    let open = drain.open();
    match drain.phase() {
        Phase::Running | Phase::LameDuck => {
            format!("still accepting, {} open\n", connections(open))
        }
        Phase::Draining | Phase::Aborting => format!("{} still open\n", connections(open)),
    }
}

fn too_many() -> (StatusCode, String) {
    let message = format!("{MAX_WAITERS} requests wait already\n");
    (StatusCode::SERVICE_UNAVAILABLE, message)
}

fn connections(count: usize) -> String {
    match count {
        1 => "1 connection".to_owned(),
        many => format!("{many} connections"),
    }
}
