//! The app's probes and lifecycle hooks, made on loopback in the kubelet's place.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, StreamBody};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Admin, Body, text};
use crate::listener::Activity;
use crate::probes::Checked;

/// Probes of the app under way whose connections are not closed to make room. A pod has three probes a
/// container; the rest of the port's permits stays for everybody.
pub const MAX_PROTECTED_PROBES: usize = 24;
/// The same of its lifecycle hooks. A container has two, and runs one of them at a time.
pub const MAX_PROTECTED_HOOKS: usize = 16;

impl Admin {
    /// Makes the probe of this path.
    pub(super) async fn probe(&self, path: &str, connection: &Arc<Activity>) -> Response<Body> {
        let view = self.view.load_full();
        let Some(probe) = view.probes.lookup(path) else {
            return text(StatusCode::NOT_FOUND, "no such page\n").map(Either::Left);
        };
        let permits = if probe.is_unlimited() {
            &self.protected_hooks
        } else {
            &self.protected_probes
        };
        let busy = Busy::new(permits, connection);
        let checked = probe.check().await;
        let (status, said) = match &checked.result {
            Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
            Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
        };
        let mut response = text(status, Bytes::new());
        let length = said.len().into();
        response.headers_mut().insert(CONTENT_LENGTH, length);
        response.map(|_| Either::Right(body(checked, said.into(), busy)))
    }
}

/// The text, once the app's own body has ended. If that breaks off, so does this: the kubelet reads a body too, and
/// throws away the result of a probe whose body does not come to its end.
fn body(checked: Checked, text: Bytes, busy: Busy) -> UnsyncBoxBody<Bytes, io::Error> {
    let text = async move {
        let ended = checked.end().await;
        drop(busy);
        if let Err(error) = ended {
            // The head leaves first.
            tokio::task::yield_now().await;
            return Err(error);
        }
        Ok(Frame::data(text))
    };
    StreamBody::new(stream::once(text)).boxed_unsync()
}

/// A connection whose probe is under way is busy, and is not shed. Only so many are protected, or clients that probe
/// again and again would keep the port full.
struct Busy {
    connection: Arc<Activity>,
    _protected: Option<OwnedSemaphorePermit>,
}

impl Busy {
    fn new(permits: &Arc<Semaphore>, connection: &Arc<Activity>) -> Self {
        let protected = Arc::clone(permits).try_acquire_owned().ok();
        if protected.is_some() {
            connection.begin();
        }
        Self {
            connection: Arc::clone(connection),
            _protected: protected,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.connection.idle(Instant::now());
    }
}
