//! Waiting for an upstream, while the client sends.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::error::RoundTripError;
use crate::proxy::codec::message::MessageStream;
use crate::proxy::exchange::Broken;

/// Waits for a connection. What the h2 crate would keep of the request meanwhile is taken from it.
pub(super) async fn reading_ahead<T>(
    down: &mut impl MessageStream,
    waiting: impl Future<Output = T>,
) -> Result<T, RoundTripError> {
    let mut waiting = pin!(waiting);
    poll_fn(|cx| {
        if let Poll::Ready(value) = waiting.as_mut().poll(cx) {
            return Poll::Ready(Ok(value));
        }
        down.poll_ahead(cx)
            .map(|gone| Err(Broken::Client(gone).into()))
    })
    .await
}
