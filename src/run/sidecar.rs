//! A `Config` becomes a running sidecar: listeners, reloader and admin port.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::base::Base;
use super::commands::Commands;
use super::error::Error;
use super::inspect::{budget, log_budget};
use super::own_ports;
use super::plan::{Plan, Present};
use super::sides::Sides;
use super::slow::said_if_slow;
use super::traces;
use super::watchers::Watchers;
use crate::admin::{
    self, Admin, Configuration, MAX_PROTECTED_HOOKS, MAX_PROTECTED_PROBES, View, Waiters,
};
use crate::config::{Config, Source};
use crate::drain::Drain;
use crate::io::tells_acknowledged;
use crate::metrics::{Metrics, PanickedTask};
use crate::panics::OnPanic;
use crate::proxy::UpstreamPermits;
use crate::redact::Shown;
use crate::tls::reload::ReloadHandle;
use crate::worker::Workers;

/// A running sidecar.
pub struct Sidecar {
    pub(super) sides: Sides,
    pub(super) admin_addresses: Vec<SocketAddr>,
    pub(super) drain: Drain,
    pub(super) base: Base,
    /// Where the configuration is read again, and what it was.
    pub(super) source: Source,
    pub(super) config: Config,
    pub(super) watchers: Watchers,
    pub(super) view: Arc<ArcSwap<View>>,
    pub(super) configuration: Arc<ArcSwap<Configuration>>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) commands: Commands,
    admin: JoinHandle<()>,
}

impl Sidecar {
    /// Loads every certificate and binds every address before the first connection is accepted.
    /// The runtime this is called in is the first worker.
    pub fn start(config: Config) -> Result<Self, Error> {
        Self::start_from(config, Source::default())
    }

    /// The same with the place where SIGHUP reads the configuration again.
    pub fn start_from(config: Config, source: Source) -> Result<Self, Error> {
        let budget = budget(&config);
        let metrics = Arc::new(Metrics::new()?);
        let versions = crate::build::VERSIONS;
        metrics.set_build_info(versions.hybridge, versions.rustls, versions.aws_lc)?;
        let drain = Drain::default();
        let counted = Arc::clone(&metrics);
        let panicked: OnPanic = Arc::new(move || counted.panicked(PanickedTask::Worker));
        let workers = Workers::start(config.workers, &panicked).map_err(Error::Runtime)?;
        let base = Base {
            metrics,
            workers: Arc::new(workers),
            permits: UpstreamPermits::new(budget.upstream_sockets()),
            own_ports: Arc::default(),
            accepting: Arc::default(),
            traces: Arc::default(),
            replays: Arc::default(),
        };
        let slow = || {
            tracing::warn!(
                "certificates and keys are still being read: a file system or a token does not answer"
            );
        };
        let present = Present::default();
        let plan = || Plan::make(config.clone(), budget, &present, &base);
        let plan = said_if_slow(slow, plan)?;
        let port = admin::Port::bind(&config.admin, &base.metrics)?;
        let admin_addresses = port.addresses();
        tracing::info!(
            version = versions.hybridge,
            rustls = versions.rustls,
            aws_lc = versions.aws_lc,
            "starting"
        );
        warn_without_sock_diag();
        traces::use_exporter(plan.traces, &base);
        let mut sides = Sides::default();
        let (steps, shared) = ((plan.listeners, plan.egresses), (&base, &drain));
        own_ports::refused_while(
            &base,
            (&plan.config, &plan.probes),
            (&mut sides, &admin_addresses),
            |sides| sides.start(steps, &plan.budget.connections, &mut [], shared),
        );
        let file = source.file().map(|file| Shown::path(&file).to_string());
        let (commands, sender) = Commands::new();
        let view = Arc::new(ArcSwap::from_pointee(sides.view(plan.probes)));
        let configuration = Arc::new(ArcSwap::from_pointee(Configuration::first(file)));
        let waiters = Arc::new(Waiters::new(&config.drain));
        let admin = Admin {
            metrics: Arc::clone(&base.metrics),
            drain: drain.clone(),
            view: Arc::clone(&view),
            configuration: Arc::clone(&configuration),
            commands: sender,
            traces: Arc::clone(&base.traces),
            waiters: Arc::clone(&waiters),
            protected_probes: Arc::new(Semaphore::new(MAX_PROTECTED_PROBES)),
            protected_hooks: Arc::new(Semaphore::new(MAX_PROTECTED_HOOKS)),
            pages: admin::Pages::default(),
        };
        let sidecar = Self {
            watchers: sides.watchers(&base, None),
            admin: tokio::spawn(port.run(admin)),
            admin_addresses,
            view,
            configuration,
            waiters,
            commands,
            sides,
            source,
            config,
            base,
            drain,
        };
        log_budget(&plan.budget);
        if !sidecar.admin_addresses.is_empty() {
            tracing::info!(addresses = ?sidecar.admin_addresses, "admin port");
        }
        Ok(sidecar)
    }

    /// Where a listener listens; empty for a name there is not.
    pub fn addresses(&self, listener: &str) -> &[SocketAddr] {
        self.sides.addresses(listener).unwrap_or_default()
    }

    /// How many listeners there are.
    pub(super) fn listeners(&self) -> usize {
        self.sides.count()
    }

    /// Where the admin port listens.
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.admin_addresses
    }

    /// Looks at the certificate files now, as SIGHUP does.
    pub fn reload(&self) -> &ReloadHandle {
        &self.watchers.reload
    }

    /// Ends what accepts and what answers.
    pub(super) fn abort_tasks(&self) {
        self.sides.abort();
        self.admin.abort();
    }
}

fn warn_without_sock_diag() {
    if let Err(error) = tells_acknowledged() {
        tracing::warn!(
            %error,
            "sock_diag not available, so that the end of a drain is known only by what clients do: allow AF_NETLINK"
        );
    }
}
