//! SIGHUP: the whole configuration is read again, and everything that can fail is done before anything is
//! changed. A configuration that cannot be used changes nothing.

use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_blocking};

use super::inspect::{budget, log_budget};
use super::own_ports;
use super::plan::Plan;
use super::service_manager;
use super::sidecar::Sidecar;
use super::sides::Changes;
use super::traces::use_exporter;
use crate::config::{Config, Loaded};
use crate::drain::Phase;
use crate::metrics::{Metrics, PanickedTask};
use crate::panics;
use crate::redact::scrub;

/// A configuration that is being read; what is wrong with it.
pub(super) type Reading = JoinHandle<Result<Read, String>>;

/// A configuration that can be used.
pub(super) struct Read {
    plan: Plan,
    warnings: Vec<String>,
    /// What it changes only for the next start.
    next_start: Vec<&'static str>,
}

/// Why one that ended by a panic has failed.
pub(super) const FAULT: &str = "reading it ended by a fault of this program";

/// Begins one on a thread of its own: files may be slow, and others serve connections. Its panic is counted,
/// also after it was given up.
pub(super) fn begun(
    metrics: &Arc<Metrics>,
    read: impl FnOnce() -> Result<Read, String> + Send + 'static,
) -> Reading {
    let metrics = Arc::clone(metrics);
    spawn_blocking(move || {
        panics::caught_call(read).unwrap_or_else(|panics::Panicked| {
            metrics.panicked(PanickedTask::Reload);
            Err(FAULT.to_owned())
        })
    })
}

impl Sidecar {
    /// Begins to read the configuration, if there is a file to read; else looks at the certificates.
    pub(super) fn read_again(&self) -> Option<Reading> {
        if self.drain.phase() > Phase::Running {
            tracing::info!("draining: the configuration is not read again, certificates are");
            self.watchers.look();
            return None;
        }
        if self.source.file().is_none() {
            tracing::info!(
                "no configuration file: flags and environment stay as they are, certificates are looked at"
            );
            self.watchers.look();
            return None;
        }
        let (source, base) = (self.source.clone(), self.base.clone());
        let (present, running) = (self.sides.present(), self.config.clone());
        let admin = self.admin_addresses.clone();
        let metrics = Arc::clone(&self.base.metrics);
        Some(begun(&metrics, move || {
            let loaded = source
                .load_again(&admin)
                .map_err(|error| error.to_string())?;
            let Loaded {
                mut config,
                warnings,
            } = loaded;
            let next_start = keep_fixed(&mut config, &running);
            let budget = budget(&config);
            let plan = Plan::make(config, budget, &present, &base);
            Ok(Read {
                plan: plan.map_err(|error| error.to_string())?,
                warnings,
                next_start,
            })
        }))
    }

    /// Puts what was read into use, and looks at the certificates.
    pub(super) async fn use_read(&mut self, read: Result<Read, String>) {
        match read {
            // A drain began meanwhile.
            Ok(_) if self.drain.phase() > Phase::Running => {}
            Ok(read) => self.apply(read).await,
            Err(error) => {
                let error = scrub(&error);
                tracing::warn!(%error, "configuration not reloaded, the last good one stays in use");
                self.base.metrics.config_reload(false);
                let refused = self.configuration.load().refused(&error);
                self.configuration.store(Arc::new(refused));
            }
        }
        self.watchers.look();
    }

    async fn apply(&mut self, read: Read) {
        let Read {
            plan,
            warnings,
            next_start,
        } = read;
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        if !next_start.is_empty() {
            let settings = next_start.join(",");
            tracing::warn!(
                settings,
                "these settings stay as they are until the process starts anew"
            );
        }
        let changes = self.sides.changes(&plan);
        let same = changes.is_empty() && self.is_alike(&plan.config);
        let before = self.configuration.load_full();
        let now = if same {
            before.unchanged(next_start)
        } else {
            self.put_into_use(plan, &changes).await;
            before.next(next_start)
        };
        let generation = now.generation;
        self.configuration.store(Arc::new(now));
        self.base.metrics.config_reload(true);
        if same {
            tracing::info!(generation, "configuration unchanged");
        } else {
            let names = |names: &[String]| {
                let some = (!names.is_empty()).then(|| names.join(","));
                some.map(tracing::field::display)
            };
            tracing::info!(
                generation,
                added = names(&changes.added),
                changed = names(&changes.changed),
                removed = names(&changes.removed),
                "configuration reloaded"
            );
        }
    }

    /// Whether what is not a listener or an egress is the same too.
    fn is_alike(&self, config: &Config) -> bool {
        config.probes == self.config.probes
            && config.drain == self.config.drain
            && config.traces == self.config.traces
    }

    async fn put_into_use(&mut self, plan: Plan, changes: &Changes) {
        let mut stopping = self.sides.stop_for(&plan).await;
        // Before others start: one of them may have the same name.
        for stopped in &stopping {
            self.base.metrics.withdraw(&stopped.name);
        }
        let Plan {
            config,
            probes,
            budget,
            listeners,
            egresses,
            traces,
        } = plan;
        let of_traces = config.traces != self.config.traces;
        use_exporter(traces, &self.base);
        let (steps, shared) = ((listeners, egresses), (&self.base, &self.drain));
        own_ports::refused_while(
            &self.base,
            (&config, &probes),
            (&mut self.sides, &self.admin_addresses),
            |sides| sides.start(steps, &budget.connections, &mut stopping, shared),
        );
        self.base.permits.set_limit(budget.upstream_sockets());
        for stopped in stopping {
            stopped.drain(&self.drain, config.drain.timeout);
        }
        if !changes.is_empty() || of_traces {
            self.watchers = self.sides.watchers(&self.base, Some(&mut self.watchers));
            log_budget(&budget);
        }
        self.waiters.set_longest(&config.drain);
        self.view.store(Arc::new(self.sides.view(probes)));
        self.config = config;
        service_manager::serving(self.sides.count());
    }
}

/// What cannot change while the process runs stays; the names of what would have changed.
fn keep_fixed(config: &mut Config, running: &Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    if config.workers != running.workers {
        config.workers = running.workers;
        kept.push("workers");
    }
    if config.admin != running.admin {
        config.admin = running.admin.clone();
        kept.push("admin.listen");
    }
    if config.log.level != running.log.level {
        kept.push("log.level");
    }
    if config.log.format != running.log.format {
        kept.push("log.format");
    }
    config.log = running.log.clone();
    kept
}
