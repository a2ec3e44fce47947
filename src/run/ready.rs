//! A listener on its way to running: certificate loaded, sockets bound, a service for each worker.

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::dispatch::Dispatcher;
use super::error::Error;
use super::series::{announce, expiry};

use crate::admin;
use crate::config::ListenerConfig;
use crate::drain::Drain;
use crate::listener::{self, Listener};
use crate::metrics::{ListenerMetrics, Metrics};
use crate::proxy::UpstreamPermits;
use crate::proxy::connection::{Frontend, Service};
use crate::tls::certificates::CertificateSet;
use crate::tls::credentials::rfc3339;
use crate::tls::reload::{CredentialStore, Watched};
use crate::tls::tickets::{TicketKeyError, TicketKeyStore, ticketer};
use crate::tls::trust::{self, TrustStore};
use crate::worker::{Worker, Workers};

/// A listener with its certificate loaded and its sockets bound.
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) listener: Listener,
    front: Arc<Frontend>,
    /// One for each worker, in their order.
    services: Vec<Arc<Service>>,
    pub(super) certificates: Arc<CertificateSet>,
    /// Whom it believes, if it asks.
    pub(super) trust: Option<Arc<TrustStore>>,
    /// The keys of its tickets, if they come from a file.
    ticket_keys: Option<Arc<TicketKeyStore>>,
    config: ListenerConfig,
}

impl Ready {
    pub(super) fn prepare(
        config: ListenerConfig,
        metrics: &Arc<Metrics>,
        workers: &Workers,
        permits: &Arc<UpstreamPermits>,
    ) -> Result<Self, Error> {
        let name = config.socket.name.clone();
        let certificates = Arc::new(certificate_set(
            &name,
            &config.tls,
            config.tls.wait_for_certificate,
        )?);
        let families = metrics.listener(&name);
        expiry(&families, &certificates);
        for warning in certificates.warnings() {
            tracing::warn!(listener = %name, "{warning}");
        }
        announce(&families, &config.tls.policy);
        let trust = trust_store(&name, &config.tls)?;
        if let Some(trust) = &trust {
            if let Some(next_update) = trust.current().next_update() {
                families.set_crl_next_update(next_update);
            }
            for warning in trust.current().warnings() {
                tracing::warn!(listener = %name, "{warning}");
            }
        }
        let ticket_keys = ticket_key_store(&name, &config.tls)?;
        if let Some(warning) = ticket_keys.as_ref().and_then(|keys| keys.warning()) {
            tracing::warn!(listener = %name, "{warning}");
        }
        let front = Frontend::new(
            &name,
            &config.tls,
            &config.proxy,
            &certificates.resolver(),
            trust.as_ref(),
            families,
            permits,
        );
        let refused = |source| Error::Tls {
            listener: name.clone(),
            source,
        };
        let mut front = front.map_err(refused)?;
        let ticketer = ticketer(&name, &config.tls, trust.as_ref(), ticket_keys.as_ref());
        if let Some(ticketer) = ticketer.map_err(refused)? {
            front = front.with_tickets(&ticketer, config.tls.tickets);
        }
        let front = Arc::new(front.with_names(certificates.refusing()));
        let service = |worker: &Worker| {
            let _inside = worker.handle.enter();
            Arc::new(Service::new(&front, &worker.load, workers.count()))
        };
        Ok(Self {
            listener: Listener::bind(&config.socket, listener::counters(metrics, &name))?,
            services: workers.iter().map(service).collect(),
            front,
            name,
            certificates,
            trust: trust.map(Arc::new),
            ticket_keys,
            config,
        })
    }

    pub(super) fn observed(&self) -> (Arc<CertificateSet>, Arc<ListenerMetrics>) {
        let certificates = Arc::clone(&self.certificates);
        (certificates, Arc::clone(self.front.metrics()))
    }

    pub(super) fn observed_trust(&self) -> Option<(Arc<TrustStore>, Arc<ListenerMetrics>)> {
        let trust = self.trust.as_ref()?;
        Some((Arc::clone(trust), Arc::clone(self.front.metrics())))
    }

    /// What is kept up to date beside its certificate.
    pub(super) fn watched(&self) -> impl Iterator<Item = Watched> {
        let trust = self.trust.clone().map(Watched::Authorities);
        let keys = self.ticket_keys.clone().map(Watched::TicketKeys);
        trust.into_iter().chain(keys)
    }

    pub(super) fn status(&self) -> admin::ListenerStatus {
        admin::ListenerStatus {
            name: self.name.clone(),
            addresses: self.listener.addresses(),
            policy: self.config.tls.policy.clone(),
            protocol: self.config.proxy.protocol,
            upstream: self.config.proxy.upstream.to_string(),
            certificates: Arc::clone(&self.certificates),
            trust: self.trust.clone(),
            ticket_keys: self.ticket_keys.clone(),
            peers: Arc::clone(self.front.peers()),
        }
    }

    /// The start line of the listener: what it does, and until when its certificate lasts.
    pub(super) fn announce(&self) {
        let certificate_until = self.certificates.first_end().map(rfc3339);
        tracing::info!(
            listener = %self.name,
            addresses = ?self.listener.addresses(),
            upstream = %self.config.proxy.upstream,
            protocol = self.config.proxy.protocol.name(),
            policy = self.config.tls.policy.mode().name(),
            certificate_until = certificate_until.map(tracing::field::display),
            version = crate::build::VERSIONS.hybridge,
            "listening"
        );
    }

    pub(super) fn spawn(self, drain: &Drain, workers: &Arc<Workers>) -> JoinHandle<()> {
        let metrics = Arc::clone(self.front.metrics());
        let dispatcher = Dispatcher {
            listener: self.listener,
            workers: Arc::clone(workers),
            services: self.services,
            drain: drain.clone(),
        };
        tokio::spawn(dispatcher.run(drain.entrance(), metrics))
    }
}

/// The first authorities of a listener, if it asks clients. They are waited for as the pair is: meanwhile
/// nobody is believed.
fn trust_store(name: &str, tls: &crate::tls::Settings) -> Result<Option<TrustStore>, Error> {
    let Some(settings) = &tls.client_auth else {
        return Ok(None);
    };
    match TrustStore::load(settings) {
        Err(error) if tls.wait_for_certificate => {
            tracing::warn!(listener = %name, %error, "no usable authorities for clients yet, every client certificate is refused");
            Ok(Some(TrustStore::waiting(settings, &error)))
        }
        Ok(store) => Ok(Some(store)),
        Err(source) => Err(Error::Trust {
            listener: name.to_owned(),
            source: Box::new(source),
        }),
    }
}

/// Whom a listener believes, if it asks: nothing to wait for, as `check` looks at it.
pub(super) fn trust(
    name: &str,
    settings: Option<&trust::Settings>,
) -> Result<Option<TrustStore>, Error> {
    let trust = settings.map(TrustStore::load).transpose();
    trust.map_err(|source| Error::Trust {
        listener: name.to_owned(),
        source: Box::new(source),
    })
}

/// The keys of a listener's tickets, if they come from a file. Where a certificate may be waited for, so
/// may they: meanwhile clients resume at the process that they came to first.
fn ticket_key_store(
    name: &str,
    tls: &crate::tls::Settings,
) -> Result<Option<Arc<TicketKeyStore>>, Error> {
    match (ticket_keys(name, tls), &tls.ticket_keys) {
        (Err(Error::TicketKeys { source, .. }), Some(path)) if tls.wait_for_certificate => {
            tracing::warn!(listener = %name, error = %source, "no usable ticket keys yet, this process makes its own");
            let waiting = TicketKeyStore::waiting(path, &source);
            waiting.map(Arc::new).map(Some).map_err(refused(name))
        }
        (keys, _) => keys,
    }
}

/// The keys as `check` looks at them: nothing to wait for.
pub(super) fn ticket_keys(
    name: &str,
    tls: &crate::tls::Settings,
) -> Result<Option<Arc<TicketKeyStore>>, Error> {
    let keys = tls.ticket_keys.as_deref().map(TicketKeyStore::load);
    let keys = keys.transpose().map_err(refused(name))?;
    Ok(keys.map(Arc::new))
}

fn refused(listener: &str) -> impl FnOnce(TicketKeyError) -> Error {
    let listener = listener.to_owned();
    move |source| Error::TicketKeys {
        listener,
        source: Box::new(source),
    }
}

/// Every pair of a listener. With `wait` those that cannot be used are waited for.
pub(super) fn certificate_set(
    name: &str,
    tls: &crate::tls::Settings,
    wait: bool,
) -> Result<CertificateSet, Error> {
    let load = |cert: &Path, key: &Path| credential_store(name, cert, key, wait).map(Arc::new);
    let further = tls.certificates.further.iter();
    let further = further.map(|pair| load(&pair.cert, &pair.key));
    let further: Vec<_> = further.collect::<Result<_, _>>()?;
    let settings = tls.certificates.clone();
    Ok(CertificateSet::new(
        load(&tls.cert, &tls.key)?,
        further,
        settings,
    ))
}

/// A pair of a listener. A sidecar in a pod may be told to wait for it: it holds the port and
/// responds to the app's probes meanwhile, so that a bad Secret does not restart a healthy model.
fn credential_store(
    name: &str,
    cert: &Path,
    key: &Path,
    wait: bool,
) -> Result<CredentialStore, Error> {
    match CredentialStore::load(cert, key) {
        Ok(store) => Ok(store),
        Err(error) if wait => {
            tracing::warn!(listener = %name, reason = error.reason(), %error, "no usable certificate yet, every handshake is refused");
            Ok(CredentialStore::waiting(cert, key, &error))
        }
        Err(source) => Err(Error::Credentials {
            listener: name.to_owned(),
            source: Box::new(source),
        }),
    }
}
