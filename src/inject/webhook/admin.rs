//! The injector's plaintext admin port: GET /livez, /readyz, /metrics; 404 for anything else.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use tokio::sync::watch;

use crate::admin::connection;
use crate::drain::Phase;
use crate::listener::Listener;
use crate::metrics::{Metrics, PanickedTask};
use crate::panics;
use crate::tls::reload::{CredentialStore, Health};

/// What the admin port reports.
pub(crate) struct AdminState {
    metrics: Arc<Metrics>,
    store: Arc<CredentialStore>,
    phase: watch::Receiver<Phase>,
}

impl AdminState {
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

    fn respond(&self, method: &Method, path: &str) -> Response<Bytes> {
        if method != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
        }
        match path {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness(),
            "/metrics" => self.metrics_page(),
            _ => text(
                StatusCode::NOT_FOUND,
                "paths are /livez, /readyz and /metrics\n",
            ),
        }
    }

    fn metrics_page(&self) -> Response<Bytes> {
        // It has no configuration to read again.
        let failing = usize::from(self.store.last_error().is_some());
        self.metrics.set_failing(failing, false);
        match self.metrics.render() {
            Ok(body) => Response::new(Bytes::from(body)),
            Err(_) => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics cannot be rendered\n",
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
pub(crate) async fn serve(mut listener: Listener, state: Arc<AdminState>) {
    loop {
        let accepted = listener.accept().await;
        let state = Arc::clone(&state);
        let metrics = Arc::clone(state.metrics());
        let work = connection::serve(accepted, move |request, _| {
            let response = state.respond(request.method(), request.uri().path());
            std::future::ready(response.map(Full::new))
        });
        panics::spawn(work, move || metrics.panicked(PanickedTask::Admin));
    }
}

/// Whether the certificate in use can still be served.
fn certificate_is_valid(store: &CredentialStore) -> bool {
    !matches!(
        store.health(SystemTime::now()),
        Health::Expired { .. } | Health::Missing(_)
    )
}
