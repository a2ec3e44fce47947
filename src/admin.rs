//! The operator's port, plaintext: `/startupz`, `/livez`, `/readyz`, `/metrics`, `/status`,
//! `/drain/wait`; and, only from loopback, `/census`, `POST /drain` and `/quit` for `ctl`.

mod configuration;
pub(crate) mod connection;
mod egress;
mod failing;
mod pages;
mod probe;
mod shared_page;
mod status;
pub(crate) mod unread;
mod waiters;

pub use self::configuration::Configuration;
pub use self::connection::{LOOPBACK_CONNECTIONS, NETWORK_CONNECTIONS};
pub use self::probe::{MAX_PROTECTED_HOOKS, MAX_PROTECTED_PROBES};
pub use self::shared_page::Pages;
pub use self::waiters::{MAX_WAITERS, Waiters};

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::sync::{Semaphore, mpsc};

use crate::census::Census;
use crate::drain::Drain;
use crate::listener::{self, Accepted, Activity, Address, BindError, Listener};
use crate::metrics::{Metrics, PanickedTask};
use crate::panics;
use crate::probes::ProbeTable;
use crate::proxy::{OpenPeers, Protocol, TargetsSeen};
use crate::tls::certificates::CertificateSet;
use crate::tls::client::ClientTls;
use crate::tls::policy::TlsPolicy;
use crate::tls::reload::OtherFiles;
use crate::tls::tickets::TicketKeyStore;
use crate::tls::trust::TrustStore;
use crate::traces::Traces;

/// Settings of the admin port.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Settings {
    /// Addresses to bind; empty: no admin port.
    pub addresses: Vec<SocketAddr>,
}

/// A command of `ctl`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminCommand {
    /// Become not ready, then refuse new connections; stay.
    Drain,
    /// Drain and end; a second time: end at once.
    Quit,
}

/// What the pages report on one listener.
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Its key-exchange policy.
    pub policy: TlsPolicy,
    /// What travels inside TLS.
    pub protocol: Protocol,
    /// The upstream.
    pub upstream: String,
    /// The certificates in use.
    pub certificates: Arc<CertificateSet>,
    /// What it trusts, if it asks clients for a certificate.
    pub trust: Option<Arc<TrustStore>>,
    /// The keys of its tickets, if they come from a file.
    pub ticket_keys: Option<Arc<TicketKeyStore>>,
    /// Clients with a certificate that are connected.
    pub peers: Arc<OpenPeers>,
    /// Who comes without a hybrid group.
    pub census: Arc<Census>,
    /// The keys of signatures: of clients, and its own.
    pub signature_keys: Vec<Arc<OtherFiles>>,
}

/// What the pages report on one egress.
pub struct EgressStatus {
    /// Its name.
    pub name: String,
    /// Where apps connect.
    pub addresses: Vec<Address>,
    /// What they speak.
    pub protocol: Protocol,
    /// Where it goes.
    pub target: String,
    /// What its connections are made with.
    pub tls: Arc<ClientTls>,
    /// The targets reached last.
    pub seen: Arc<TargetsSeen>,
}

/// What a reload of the configuration replaces.
#[derive(Default)]
pub struct View {
    /// The listeners.
    pub listeners: Vec<ListenerStatus>,
    /// The egresses.
    pub egresses: Vec<EgressStatus>,
    /// The app's probes.
    pub probes: ProbeTable,
}

/// What the pages are made from.
pub struct Admin {
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// Where a shutdown stands.
    pub drain: Drain,
    /// The listeners, the egresses and the app's probes.
    pub view: Arc<ArcSwap<View>>,
    /// The configuration in use, and what became of the last one.
    pub configuration: Arc<ArcSwap<Configuration>>,
    /// Where commands are sent.
    pub commands: mpsc::Sender<AdminCommand>,
    /// Where spans go.
    pub traces: Arc<Traces>,
    /// Requests to `/drain/wait` that wait.
    pub waiters: Arc<Waiters>,
    /// Probes under way whose connections are not closed to make room: [`MAX_PROTECTED_PROBES`].
    pub protected_probes: Arc<Semaphore>,
    /// The same of lifecycle hooks, which may last: they take nothing from the probes.
    pub protected_hooks: Arc<Semaphore>,
    /// Pages that are large.
    pub pages: Pages,
}

/// A page that is there, or one that waits for the app.
type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// The admin port, bound.
pub struct Port(Listener);

/// Its name in metrics and logs, which no listener may have.
pub const NAME: &str = "admin";
/// The flag and the key of its addresses.
const SETTING: &str = "--admin (admin.listen)";
/// Responds when a drain is complete.
const DRAIN_WAIT: &str = "/drain/wait";

impl Port {
    /// Binds every address; needs a runtime.
    pub fn bind(settings: &Settings, metrics: &Metrics) -> Result<Self, BindError> {
        let settings = connection::settings(NAME, SETTING, settings.addresses.clone());
        Listener::bind(&settings, listener::counters(metrics, NAME)).map(Self)
    }

    /// The addresses as bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.addresses()
    }

    /// Serves until the task is aborted: probes and metrics outlive the drain.
    pub async fn run(mut self, admin: Admin) {
        let admin = Arc::new(admin);
        loop {
            let accepted = self.0.accept().await;
            let metrics = Arc::clone(&admin.metrics);
            panics::spawn(serve(accepted, Arc::clone(&admin)), move || {
                metrics.panicked(PanickedTask::Admin);
            });
        }
    }
}

async fn serve(accepted: Accepted, admin: Arc<Admin>) {
    // Held until the connection is closed: the process must not end before this response has left.
    let report = OnceLock::new();
    let peer = accepted.client;
    let respond = |request: Request<Incoming>, activity: Arc<Activity>| {
        if request.uri().path() == DRAIN_WAIT {
            report.get_or_init(|| admin.drain.report());
        }
        let admin = Arc::clone(&admin);
        async move { admin.respond(&request, peer, &activity).await }
    };
    connection::serve(accepted, respond).await;
}

impl Admin {
    async fn respond(
        &self,
        request: &Request<Incoming>,
        peer: SocketAddr,
        activity: &Arc<Activity>,
    ) -> Response<Body> {
        let path = request.uri().path();
        let page = match (request.method(), path) {
            (&Method::GET | &Method::HEAD, "/startupz" | "/livez") => text(StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, "/readyz") => self.readyz(),
            (&Method::GET | &Method::HEAD, "/metrics") => return self.metrics_page(),
            (&Method::GET | &Method::HEAD, "/status") => return self.status_page(),
            (&Method::GET, "/census") => self.census_page(peer),
            (&Method::GET, DRAIN_WAIT) => {
                let query = request.uri().query();
                self.drain_wait(query, peer.ip(), activity).await
            }
            (&Method::POST, "/drain") => self.accept_command(AdminCommand::Drain, peer),
            (&Method::POST, "/quit") => self.accept_command(AdminCommand::Quit, peer),
            (_, "/drain" | "/quit") => text(
                StatusCode::METHOD_NOT_ALLOWED,
                "use POST, or `hybridge ctl`\n",
            ),
            (&Method::GET | &Method::HEAD, probe) => return self.probe(probe, activity).await,
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        };
        page.map(Either::Left)
    }

    /// A neighbour in the network must not be able to end the sidecar.
    fn accept_command(&self, command: AdminCommand, peer: SocketAddr) -> Response<Full<Bytes>> {
        if !peer.ip().to_canonical().is_loopback() {
            return text(
                StatusCode::FORBIDDEN,
                "state changes are accepted only from loopback\n",
            );
        }
        match self.commands.try_send(command) {
            Ok(()) => text(StatusCode::ACCEPTED, "ok\n"),
            Err(_) => text(StatusCode::CONFLICT, "the sidecar is ending already\n"),
        }
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    page(status, "text/plain; charset=utf-8", body)
}

fn page(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    typed(status, content_type, Full::new(body.into()))
}

fn typed<B>(status: StatusCode, content_type: &'static str, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(content_type),
    );
    response
}

#[cfg(test)]
mod tests;
