//! Connections to the targets of an egress at one worker, kept for each target by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::frontend::EgressFrontend;
use crate::panics::{self, OnPanic};
use crate::proxy::connect::authority_target;
use crate::proxy::context::{Targets, Unnamed};
use crate::proxy::error::UpstreamError;
use crate::proxy::origin::{OriginError, Target};
use crate::proxy::settings::Settings;
use crate::proxy::upstream::{Dial, Upstream};

/// Targets whose connections are kept; those of another take the place of any.
const MOST_TARGETS: usize = 64;

/// Connections to the targets of an egress.
pub(super) struct Pools {
    front: Arc<EgressFrontend>,
    settings: Arc<Settings>,
    max_idle: usize,
    panicked: OnPanic,
    open: Mutex<HashMap<Target, Arc<Upstream>>>,
}

impl Pools {
    pub(super) fn new(
        front: &Arc<EgressFrontend>,
        settings: &Arc<Settings>,
        max_idle: usize,
        panicked: OnPanic,
    ) -> Self {
        Self {
            front: Arc::clone(front),
            settings: Arc::clone(settings),
            max_idle,
            panicked,
            open: Mutex::default(),
        }
    }

    /// Connections to a target that is not among those that are kept.
    pub(super) fn unkept(&self, target: &Target) -> Arc<Upstream> {
        Upstream::new(
            Dial::Origin(Arc::clone(&self.front.origin), target.clone()),
            &self.settings,
            self.max_idle,
            &self.front.permits,
            Arc::clone(&self.panicked),
        )
    }

    /// Connections to a target; must run inside the worker's runtime.
    pub(super) fn to(&self, target: &Target) -> Arc<Upstream> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(upstream) = open.get(target) {
            return Arc::clone(upstream);
        }
        let upstream = self.unkept(target);
        let panicked = Arc::clone(&self.panicked);
        panics::spawn(Arc::clone(&upstream).evict_idle_loop(), move || panicked());
        if open.len() >= MOST_TARGETS
            && let Some(any) = open.keys().next().cloned()
        {
            open.remove(&any);
        }
        open.insert(target.clone(), Arc::clone(&upstream));
        upstream
    }
}

impl Targets for Pools {
    fn upstream(&self, authority: &str) -> Result<Arc<Upstream>, Unnamed> {
        let target = authority_target(authority).ok_or(Unnamed::Host)?;
        if self.front.allows(&target) {
            return Ok(self.to(&target));
        }
        let refused = OriginError::TargetRefused(target.to_string());
        Err(Unnamed::Refused(UpstreamError::Origin(Box::new(refused))))
    }
}
