//! One plaintext connection of an admin port: HTTP/1.1 with bounds on what a client that says nothing
//! can hold. The sidecar's and the webhook's use it.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::timeout;

use super::unread::{Bounded, gone};
use crate::listener::{Accepted, Activity, Settings, UnixSockets};

/// Connections from the network and, apart from these, from this host. Probes, scrapers and an operator
/// need a handful; a connection that is idle makes room for a newcomer.
pub const NETWORK_CONNECTIONS: usize = 96;
/// See `NETWORK_CONNECTIONS`.
pub const LOOPBACK_CONNECTIONS: usize = 32;
/// Until the first byte of the first request.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(2);
/// For a request head to arrive whole, and between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a request head; hyper would read 400 KB of one. It is part of `PROCESS_MEMORY` of the budget, for
/// every connection.
const MAX_HEAD: usize = 16 << 10;
/// Length of the kernel's queue of connections not yet accepted.
const BACKLOG: i32 = 1024;

/// How an admin port listens; `setting` says where its addresses are given.
pub(crate) fn settings(name: &str, setting: &'static str, addresses: Vec<SocketAddr>) -> Settings {
    Settings {
        name: name.to_owned(),
        setting,
        addresses,
        unix: UnixSockets::default(),
        max_connections: NETWORK_CONNECTIONS,
        loopback_connections: Some(LOOPBACK_CONNECTIONS),
        backlog: BACKLOG,
    }
}

/// Serves a connection until the client closes it, says nothing for too long, or has to make room.
pub(crate) async fn serve<F, B>(
    accepted: Accepted,
    respond: impl Fn(Request<Incoming>, Arc<Activity>) -> F,
) where
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + 'static,
{
    let Accepted { stream, permit, .. } = accepted;
    let stream = Arc::new(stream);
    let activity = permit.activity();
    let service = service_fn(|request| {
        // A connection with a request counts as younger than a silent one, however long it lasts.
        activity.idle(Instant::now());
        let response = respond(request, Arc::clone(activity));
        async move { Ok::<_, Infallible>(response.await) }
    });
    let connection = async {
        if let Ok(Ok(())) = timeout(FIRST_BYTE_TIMEOUT, stream.readable()).await {
            // A client that goes away is no news here.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .max_buf_size(MAX_HEAD)
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(Bounded::new(Arc::clone(&stream))), service)
                .await;
        }
    };
    tokio::select! {
        () = connection => {}
        () = activity.shed() => {}
        () = gone(&stream) => {}
    }
}
