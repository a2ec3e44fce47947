//! A listener on its way to running: everything loaded, a service for each worker.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::base::Base;
use super::dispatch::Dispatcher;
use super::error::Error;
use super::kept::Kept;
use super::live::Side;
use super::series::{Observed, announce, expiry};
use super::tunnel_end::leads_home;
use crate::admin;
use crate::config::ListenerConfig;
use crate::listener;
use crate::metrics::{ListenerMetrics, Metrics};
use crate::proxy::connection::{Frontend, Service};
use crate::tls::credentials::rfc3339;
use crate::tls::reload::{CredentialStore, Source, Watched};
use crate::tls::trust::TrustStore;
use crate::tls::workload::WorkloadStores;
use crate::worker::Worker;

/// A listener with everything loaded. Its clones are the same one.
#[derive(Clone)]
pub(super) struct Ready {
    front: Arc<Frontend>,
    /// One for each worker, in their order.
    services: Vec<Arc<Service>>,
    pub(super) kept: Kept,
    pub(super) config: Arc<ListenerConfig>,
}

impl Ready {
    /// Loads what its files hold. What `before`, the listener of that name with other settings, has of the
    /// same files goes on: clients resume, the census counts on.
    pub(super) fn prepare(
        config: &ListenerConfig,
        base: &Base,
        before: Option<&Self>,
    ) -> Result<Self, Error> {
        let name = &config.socket.name;
        leads_home(config)?;
        let before_kept = before.map(|before| (&*before.config, &before.kept));
        let kept = Kept::of(config, before_kept, &base.replays)?;
        let front = Frontend::new(
            name,
            &config.tls,
            &config.proxy,
            &kept.certificates.resolver(),
            kept.trust.as_deref(),
            base.metrics.listener(name),
            &base.permits,
        );
        let mut front = front.map_err(|source| Error::Tls {
            listener: name.clone(),
            source,
        })?;
        if let Some(tickets) = &kept.tickets {
            front = front.with_tickets(tickets, config.tls.tickets);
        }
        if let Some(before) = before {
            front = front.with_peers(before.front.peers());
        }
        let front = front.with_own_ports(&base.own_ports);
        let front = front.with_traces(&base.traces);
        let front = front.with_names(kept.certificates.refusing());
        let front = front.with_signing(kept.certificates.signing().cloned());
        let front = front.with_signature(kept.signature.clone());
        let front = front.with_responses(kept.responses.clone());
        let front = Arc::new(front.with_census(&kept.census));
        let workers = &base.workers;
        let service = |worker: &Worker| {
            let _inside = worker.handle.enter();
            Arc::new(Service::new(&front, &worker.load, workers.count()))
        };
        Ok(Self {
            services: workers.iter().map(service).collect(),
            front,
            kept,
            config: Arc::new(config.clone()),
        })
    }

    /// States in metrics and log what is known of its files.
    fn state_facts(&self, metrics: &Metrics) {
        let (name, families) = (self.name(), self.front.metrics());
        let Kept {
            certificates,
            trust,
            ticket_keys,
            signature_keys,
            ..
        } = &self.kept;
        expiry(families, certificates);
        for warning in certificates.warnings() {
            tracing::warn!(listener = %name, "{warning}");
        }
        announce(families, &self.config.tls.policy);
        metrics.set_listener_info(name, "ingress", self.config.proxy.protocol.name());
        if let Some(trust) = trust {
            families.set_crl_next_update(trust.current().next_update());
            for warning in trust.current().warnings() {
                tracing::warn!(listener = %name, "{warning}");
            }
        }
        let of_signatures = signature_keys
            .iter()
            .flat_map(|keys| keys.read().warnings());
        for warning in of_signatures {
            tracing::warn!(listener = %name, "{warning}");
        }
        if let Some(warning) = ticket_keys.as_ref().and_then(|keys| keys.warning()) {
            tracing::warn!(listener = %name, "{warning}");
        }
    }

    pub(super) fn observed(&self) -> Observed {
        Observed {
            name: self.name().to_owned(),
            certificates: Arc::clone(&self.kept.certificates),
            metrics: Arc::clone(self.front.metrics()),
        }
    }

    pub(super) fn observed_trust(&self) -> Option<(Arc<TrustStore>, Arc<ListenerMetrics>)> {
        let trust = self.kept.trust.as_ref()?;
        Some((Arc::clone(trust), Arc::clone(self.front.metrics())))
    }

    /// The pairs that come from files.
    pub(super) fn pairs_of_files(&self) -> impl Iterator<Item = &Arc<CredentialStore>> {
        let of_files = self.config.tls.spiffe.is_none();
        self.kept.certificates.stores().filter(move |_| of_files)
    }

    /// What an agent fills, if there is one, its socket, and which identity is wanted.
    pub(super) fn workload(&self) -> Option<(PathBuf, Option<String>, WorkloadStores)> {
        let socket = self.config.tls.spiffe.clone()?;
        let credentials = Arc::clone(self.kept.certificates.first());
        let profile = self.config.tls.profile;
        let stores = WorkloadStores::new(credentials, self.kept.trust.clone(), profile);
        let stores = stores.remembering(&self.kept.bundles);
        Some((socket, self.config.tls.spiffe_hint.clone(), stores))
    }

    /// What is kept up to date beside its certificate.
    pub(super) fn watched(&self) -> impl Iterator<Item = Watched> {
        let of_files = self
            .kept
            .trust
            .clone()
            .filter(|_| self.config.tls.spiffe.is_none());
        let trust = of_files.map(Source::ClientCas);
        let keys = self.kept.ticket_keys.clone().map(Source::TicketKeys);
        let of_signatures = self.kept.signature_keys.iter().cloned().map(Source::Other);
        let all = trust.into_iter().chain(keys).chain(of_signatures);
        all.map(|source| Watched::of_listener(self.name(), source))
    }

    pub(super) fn status(&self, addresses: Vec<SocketAddr>) -> admin::ListenerStatus {
        admin::ListenerStatus {
            name: self.name().to_owned(),
            addresses,
            policy: self.config.tls.policy.clone(),
            protocol: self.config.proxy.protocol,
            upstream: self.config.proxy.upstream.to_string(),
            certificates: Arc::clone(&self.kept.certificates),
            trust: self.kept.trust.clone(),
            ticket_keys: self.kept.ticket_keys.clone(),
            peers: Arc::clone(self.front.peers()),
            census: Arc::clone(&self.kept.census),
            signature_keys: self.kept.signature_keys.clone(),
        }
    }
}

impl Side for Ready {
    type Service = Service;

    fn socket(&self) -> &listener::Settings {
        &self.config.socket
    }

    /// The start line of the listener: what it does, and until when its certificate lasts.
    fn announce(&self, addresses: &[SocketAddr], metrics: &Metrics) {
        self.state_facts(metrics);
        let certificate_until = self.kept.certificates.first_end().map(rfc3339);
        tracing::info!(
            listener = %self.name(),
            ?addresses,
            upstream = %self.config.proxy.upstream,
            protocol = self.config.proxy.protocol.name(),
            policy = self.config.tls.policy.mode().name(),
            certificate_until = certificate_until.map(tracing::field::display),
            version = crate::build::VERSIONS.hybridge,
            "listening"
        );
    }

    fn services(&self) -> &[Arc<Service>] {
        &self.services
    }

    fn metrics(&self) -> &Arc<ListenerMetrics> {
        self.front.metrics()
    }

    fn accept(dispatcher: Dispatcher<Service>) -> JoinHandle<()> {
        let entrance = dispatcher.drain.entrance();
        tokio::spawn(dispatcher.run(entrance))
    }
}
