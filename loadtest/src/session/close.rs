//! Ends of connections, in order, so that both sides have counted the same.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::shared::Shared;
use crate::net::socket::Socket;
use crate::net::stream::Stream;

/// A close_notify that is not answered by then is given up.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn close_stream(mut stream: Stream<Socket>) {
    // A peer that does not answer the close_notify has still been measured; the connection is dropped.
    drop(timeout(CLOSE_TIMEOUT, stream.close()).await);
}

/// Ends a shared connection in order if this was its last user.
pub(super) async fn close_shared(shared: Arc<Shared>) {
    if let Some(shared) = Arc::into_inner(shared) {
        drop(timeout(CLOSE_TIMEOUT, shared.h2.close()).await);
    }
}
