//! The operator's port, plaintext: `/startupz`, `/livez`, `/readyz`, `/metrics`, `/status`,
//! `/drain/wait`; and from loopback alone `POST /drain` and `/quit` for `ctl`.

mod pages;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::drain::Drain;
use crate::listener::{BindError, Listener};
use crate::metrics::Metrics;
use crate::probes::ProbeTable;
use crate::proxy::Protocol;
use crate::tls::policy::TlsPolicy;
use crate::tls::reload::CredentialStore;

/// What the admin port is told.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Addresses to bind; empty: no admin port.
    pub addresses: Vec<SocketAddr>,
}

/// What `ctl` may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Become not ready, then refuse new connections; stay.
    Drain,
    /// Drain and end; a second time: end at once.
    Quit,
}

/// What the pages tell about one listener.
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Its promise.
    pub policy: TlsPolicy,
    /// What travels inside TLS.
    pub protocol: Protocol,
    /// The inference server.
    pub upstream: String,
    /// The certificate in use.
    pub store: Arc<CredentialStore>,
}

/// What the pages know.
pub struct Admin {
    /// Every metric.
    pub metrics: Arc<Metrics>,
    /// Where a shutdown stands.
    pub drain: Drain,
    /// The listeners.
    pub listeners: Vec<ListenerStatus>,
    /// Where orders go.
    pub orders: mpsc::Sender<Order>,
    /// The app's probes.
    pub probes: ProbeTable,
}

/// Bound sockets of the admin port.
pub struct Listeners(Vec<TcpListener>);

/// Connections at once: probes, a scraper, an operator.
const MAX_CONNECTIONS: usize = 256;
/// Answers when a drain is complete.
const DRAIN_WAIT: &str = "/drain/wait";
/// Until a request head must be there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

impl Listeners {
    /// Binds every address; needs a runtime.
    pub fn bind(settings: &Settings) -> Result<Self, BindError> {
        let sockets = settings
            .addresses
            .iter()
            .map(|address| Listener::bind_one("admin", *address, 128));
        Ok(Self(sockets.collect::<Result<_, _>>()?))
    }

    /// The addresses as bound.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().filter_map(|s| s.local_addr().ok()).collect()
    }

    /// Answers until the task is aborted: probes and metrics outlive the drain.
    pub async fn run(self, admin: Admin) {
        let admin = Arc::new(admin);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut loops = tokio::task::JoinSet::new();
        for socket in self.0 {
            loops.spawn(accept(socket, Arc::clone(&admin), Arc::clone(&places)));
        }
        while loops.join_next().await.is_some() {}
    }
}

async fn accept(socket: TcpListener, admin: Arc<Admin>, places: Arc<Semaphore>) {
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match socket.accept().await {
            Ok((stream, peer)) => {
                let admin = Arc::clone(&admin);
                tokio::spawn(async move {
                    serve(stream, peer, admin).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "admin port: accept failed, backing off");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, admin: Arc<Admin>) {
    // Held until the connection is closed: the process must not end before this answer has left.
    let report = Arc::new(OnceLock::new());
    let service = service_fn(move |request: Request<Incoming>| {
        let (admin, report) = (Arc::clone(&admin), Arc::clone(&report));
        async move {
            if request.uri().path() == DRAIN_WAIT {
                report.get_or_init(|| admin.drain.report());
            }
            Ok::<_, Infallible>(admin.respond(&request, peer).await)
        }
    });
    // A client that goes away is no news here.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Admin {
    async fn respond(
        &self,
        request: &Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::GET | &Method::HEAD, "/startupz" | "/livez") => text(StatusCode::OK, "ok\n"),
            (&Method::GET | &Method::HEAD, "/readyz") => self.readyz(),
            (&Method::GET | &Method::HEAD, "/metrics") => self.metrics_page(),
            (&Method::GET | &Method::HEAD, "/status") => self.status_page(),
            (&Method::GET, DRAIN_WAIT) => self.drain_wait(request.uri().query()).await,
            (&Method::POST, "/drain") => self.order(Order::Drain, peer),
            (&Method::POST, "/quit") => self.order(Order::Quit, peer),
            (_, "/drain" | "/quit") => text(
                StatusCode::METHOD_NOT_ALLOWED,
                "use POST, or `hybridge ctl`\n",
            ),
            (&Method::GET, probe) => self.probe(probe).await,
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    /// A probe of the app, made on loopback in the kubelet's place.
    async fn probe(&self, path: &str) -> Response<Full<Bytes>> {
        let Some(probe) = self.probes.lookup(path) else {
            return text(StatusCode::NOT_FOUND, "no such page\n");
        };
        match probe.check().await {
            Ok(()) => text(StatusCode::OK, "ok\n"),
            Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        }
    }

    /// A neighbour in the network must not be able to end the sidecar.
    fn order(&self, order: Order, peer: SocketAddr) -> Response<Full<Bytes>> {
        if !peer.ip().to_canonical().is_loopback() {
            return text(
                StatusCode::FORBIDDEN,
                "state changes are accepted from loopback alone\n",
            );
        }
        match self.orders.try_send(order) {
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
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(content_type),
    );
    response
}
