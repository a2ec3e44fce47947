//! An egress on its way to running: CAs and certificate loaded, its own addresses known.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::base::Base;
use super::dispatch::Dispatcher;
use super::error::Error;
use super::live::Side;
use super::series::announce;
use crate::admin;
use crate::config::EgressConfig;
use crate::listener::{self, Address};
use crate::metrics::{ListenerMetrics, Metrics};
use crate::proxy::egress::{EgressFrontend, EgressService};
use crate::tls::client::ClientTls;
use crate::tls::credentials::rfc3339;
use crate::tls::reload::{Source, Watched};
use crate::worker::Worker;

/// An egress with everything loaded. Its clones are the same one.
#[derive(Clone)]
pub(super) struct ReadyEgress {
    front: Arc<EgressFrontend>,
    /// One for each worker.
    services: Vec<Arc<EgressService>>,
    pub(super) config: Arc<EgressConfig>,
    /// Addresses that it never connects to, its own aside.
    pub(super) circles: Arc<[SocketAddr]>,
}

impl ReadyEgress {
    /// `addresses` are its own as bound; `circles` those that lead back to an egress, or to the admin port.
    pub(super) fn new(
        config: &EgressConfig,
        tls: &Arc<ClientTls>,
        base: &Base,
        addresses: &[SocketAddr],
        circles: &[SocketAddr],
    ) -> Self {
        let name = &config.socket.name;
        let front = EgressFrontend::new(
            name,
            &config.egress,
            tls,
            base.metrics.listener(name),
            base.metrics.egress(name),
            &base.permits,
            [addresses, circles].concat(),
        );
        let (front, workers) = (Arc::new(front), &base.workers);
        let service = |worker: &Worker| {
            let _inside = worker.handle.enter();
            Arc::new(EgressService::new(&front, &worker.load, workers.count()))
        };
        Self {
            services: workers.iter().map(service).collect(),
            front,
            config: Arc::new(config.clone()),
            circles: circles.into(),
        }
    }

    /// What its connections are made with.
    pub(super) fn tls(&self) -> &Arc<ClientTls> {
        self.front.tls()
    }

    pub(super) fn watched(&self) -> Watched {
        let tls = Source::Client(Arc::clone(self.front.tls()));
        Watched::of_listener(self.name(), tls)
    }

    pub(super) fn observed(&self) -> (Arc<ClientTls>, Arc<ListenerMetrics>) {
        let tls = Arc::clone(self.front.tls());
        (tls, Arc::clone(self.front.metrics()))
    }

    /// Where apps connect; `addresses` are those of TCP as bound.
    fn listens_on(&self, addresses: &[SocketAddr]) -> Vec<Address> {
        let unix = self.config.socket.unix.paths.iter();
        let unix = unix.cloned().map(Address::Unix);
        let addresses = addresses.iter().copied().map(Address::Ip);
        addresses.chain(unix).collect()
    }

    pub(super) fn status(&self, addresses: &[SocketAddr]) -> admin::EgressStatus {
        admin::EgressStatus {
            name: self.name().to_owned(),
            addresses: self.listens_on(addresses),
            protocol: self.config.egress.protocol,
            target: self.config.egress.destination.to_string(),
            tls: Arc::clone(self.front.tls()),
            seen: Arc::clone(self.front.seen()),
        }
    }
}

impl Side for ReadyEgress {
    type Service = EgressService;

    fn socket(&self) -> &listener::Settings {
        &self.config.socket
    }

    /// The start line of the egress: what it does.
    fn announce(&self, addresses: &[SocketAddr], metrics: &Metrics) {
        let (name, tls) = (self.name(), self.front.tls());
        for warning in tls.warnings() {
            tracing::warn!(listener = %name, "{warning}");
        }
        announce(self.front.metrics(), &self.config.tls.policy);
        metrics.set_listener_info(name, "egress", self.config.egress.protocol.name());
        let facts = tls.facts();
        if let Some(facts) = &facts {
            self.front
                .metrics()
                .set_certificate_validity(facts.not_before, facts.not_after);
        }
        let until = facts.map(|facts| rfc3339(facts.not_after));
        tracing::info!(
            listener = %name,
            role = "egress",
            addresses = ?self.listens_on(addresses),
            target = %self.config.egress.destination,
            protocol = self.config.egress.protocol.name(),
            policy = self.config.tls.policy.mode().name(),
            authorities = tls.ca_count(),
            certificate_until = until.map(tracing::field::display),
            "listening"
        );
    }

    fn services(&self) -> &[Arc<EgressService>] {
        &self.services
    }

    fn metrics(&self) -> &Arc<ListenerMetrics> {
        self.front.metrics()
    }

    fn accept(dispatcher: Dispatcher<EgressService>) -> JoinHandle<()> {
        tokio::spawn(dispatcher.run_to_the_end())
    }
}

/// What an egress makes its connections with, as `check` looks at it too.
pub(super) fn client_tls(config: &EgressConfig) -> Result<ClientTls, Error> {
    ClientTls::load(&config.tls).map_err(|source| Error::Egress {
        egress: config.socket.name.clone(),
        source: Box::new(source),
    })
}
