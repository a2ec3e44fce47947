//! The injector's plaintext admin port: GET /livez, /readyz, /metrics; 404 for anything else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::serve::certificate_is_valid;
use crate::drain::Phase;
use crate::metrics::Metrics;
use crate::tls::reload::CredentialStore;

const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_CONNECTIONS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the admin port tells about.
pub(crate) struct Observed {
    metrics: Arc<Metrics>,
    store: Arc<CredentialStore>,
    phase: watch::Receiver<Phase>,
}

impl Observed {
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        store: Arc<CredentialStore>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self {
            metrics,
            store,
            phase,
        }
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Bytes> {
        if method != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness(),
            "/metrics" => match self.metrics.render() {
                Ok(body) => Response::new(Bytes::from(body)),
                Err(_) => text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the metrics cannot be rendered\n",
                ),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                "paths are /livez, /readyz and /metrics\n",
            ),
        }
    }

    fn readiness(&self) -> Response<Bytes> {
        if *self.phase.borrow() != Phase::Running {
            return text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
        }
        if certificate_is_valid(&self.store) {
            text(StatusCode::OK, "ok\n")
        } else {
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the certificate has expired\n",
            )
        }
    }
}

fn text(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    response
}

/// Serves the admin port for ever.
pub(crate) async fn serve(listener: TcpListener, observed: Arc<Observed>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let observed = Arc::clone(&observed);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let response = observed
                    .answer(request.method(), request.uri().path())
                    .map(Full::new);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT);
            let _ = builder
                .serve_connection(TokioIo::new(stream), service)
                .await;
            drop(slot);
        });
    }
}
