//! The tasks that keep certificates and other files up to date, for the listeners and egresses of the
//! present configuration.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::base::Base;
use super::egress::ReadyEgress;
use super::live::Side;
use super::ready::Ready;
use super::series::Observed;
use super::workload::WorkloadTask;
use crate::metrics::{ListenerMetrics, Metrics, PanickedTask};
use crate::tls::client::ClientTls;
use crate::tls::credentials::CertificateFacts;
use crate::tls::reload::{
    CredentialStore, FileObserver, FileReloader, ReloadError, ReloadHandle, ReloadObserver,
    ReloadSettings, Reloader,
};
use crate::tls::trust::TrustStore;
use crate::tls::workload::WorkloadStores;

/// They end when they are dropped.
pub(super) struct Watchers {
    pub(super) reload: ReloadHandle,
    /// Asks for a look at the CAs for clients and the ticket keys.
    files: watch::Sender<Instant>,
    tasks: Vec<JoinHandle<()>>,
    agents: Vec<Agent>,
}

/// A task that fills what an agent gives.
struct Agent {
    socket: PathBuf,
    hint: Option<String>,
    stores: WorkloadStores,
    task: JoinHandle<()>,
}

impl Drop for Watchers {
    fn drop(&mut self) {
        let agents = self.agents.iter().map(|agent| &agent.task);
        for task in self.tasks.iter().chain(agents) {
            task.abort();
        }
    }
}

impl Watchers {
    /// For these listeners and egresses; an agent that fills the same stores as `before` is not asked anew.
    pub(super) fn start(
        listeners: &[&Ready],
        egresses: &[&ReadyEgress],
        base: &Base,
        before: Option<&mut Self>,
    ) -> Self {
        let observer = Observer::of(listeners, egresses, &base.metrics);
        let settings = ReloadSettings::default();
        let stores = listeners.iter().flat_map(|ready| ready.pairs_of_files());
        let stores = stores.map(Arc::clone).collect();
        let (reloader, reload) = Reloader::new(stores, settings, Arc::clone(&observer) as _);
        let files = listeners.iter().flat_map(|ready| ready.watched());
        let files = files.chain(egresses.iter().map(|ready| ready.watched()));
        let files = files.chain(super::traces::watched(base));
        let of_files = FileReloader::new(files.collect(), settings, Arc::clone(&observer) as _);
        let (of_files, files) = of_files;
        let mut running = before.map_or_else(Vec::new, |before| std::mem::take(&mut before.agents));
        let mut agents = Vec::new();
        for ready in listeners {
            let Some((socket, hint, stores)) = ready.workload() else {
                continue;
            };
            let same = |agent: &Agent| {
                agent.socket == socket && agent.hint == hint && agent.stores.are(&stores)
            };
            agents.push(match running.iter().position(same) {
                Some(index) => running.swap_remove(index),
                // Of its own listener: it may outlive the others.
                None => Agent {
                    task: workload(
                        ready,
                        (&socket, &hint, &stores),
                        &Observer::of(&[ready], &[], &base.metrics),
                    )
                    .spawn(),
                    socket,
                    hint,
                    stores,
                },
            });
        }
        for agent in running {
            agent.task.abort();
        }
        Self {
            reload,
            files,
            tasks: vec![tokio::spawn(reloader.run()), tokio::spawn(of_files.run())],
            agents,
        }
    }

    /// Looks at every file now, as SIGHUP does.
    pub(super) fn look(&self) {
        self.files.send_replace(Instant::now());
        let reload = self.reload.clone();
        tokio::spawn(async move {
            // The reloader logs what it finds.
            let _ = reload.reload_now().await;
        });
    }
}

fn workload(
    ready: &Ready,
    (socket, hint, stores): (&PathBuf, &Option<String>, &WorkloadStores),
    observer: &Arc<Observer>,
) -> WorkloadTask {
    WorkloadTask {
        listener: ready.name().to_owned(),
        socket: socket.clone(),
        hint: hint.clone(),
        stores: stores.clone(),
        observer: Arc::clone(observer) as _,
        metrics: Arc::clone(&observer.metrics),
    }
}

/// Turns reloads into metrics.
struct Observer {
    metrics: Arc<Metrics>,
    listeners: Vec<Observed>,
    trust: Vec<(Arc<TrustStore>, Arc<ListenerMetrics>)>,
    egresses: Vec<(Arc<ClientTls>, Arc<ListenerMetrics>)>,
}

impl Observer {
    fn of(listeners: &[&Ready], egresses: &[&ReadyEgress], metrics: &Arc<Metrics>) -> Arc<Self> {
        let trust = listeners.iter().filter_map(|ready| ready.observed_trust());
        Arc::new(Self {
            metrics: Arc::clone(metrics),
            listeners: listeners.iter().map(|ready| ready.observed()).collect(),
            trust: trust.collect(),
            egresses: egresses.iter().map(|ready| ready.observed()).collect(),
        })
    }
}

impl Observer {
    fn state_revocation(&self) {
        for (trust, metrics) in &self.trust {
            metrics.set_crl_next_update(trust.current().next_update());
        }
    }
}

impl FileObserver for Observer {
    fn panicked(&self) {
        self.metrics.panicked(PanickedTask::Reload);
    }

    fn reloaded(&self, ok: bool) {
        self.metrics.credential_reload(ok);
        self.state_revocation();
        for (tls, metrics) in &self.egresses {
            if let Some(facts) = tls.facts() {
                metrics.set_certificate_validity(facts.not_before, facts.not_after);
            }
        }
    }
}

impl ReloadObserver for Observer {
    fn panicked(&self) {
        self.metrics.panicked(PanickedTask::Reload);
    }

    fn reloaded(&self, store: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>) {
        self.metrics.credential_reload(result.is_ok());
        if result.is_err() {
            return;
        }
        // An agent replaces both at once.
        self.state_revocation();
        for listener in &self.listeners {
            let mut stores = listener.certificates.stores();
            if stores.any(|watched| std::ptr::eq(Arc::as_ptr(watched), store)) {
                listener.renewed();
            }
        }
    }
}
