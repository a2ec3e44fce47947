//! A stream's work, whose panic ends it and no other stream of the connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::metrics::{ListenerMetrics, PanickedTask};
use crate::panics;

/// The work stays where it was put: it is large, and each move of it would be a copy.
pub(super) struct Guarded {
    pub(super) work: Pin<Box<dyn Future<Output = ()> + Send>>,
    pub(super) metrics: Arc<ListenerMetrics>,
}

impl Future for Guarded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let work = self.work.as_mut();
        match panics::caught_call(|| work.poll(cx)) {
            Ok(polled) => polled,
            // Dropping the work resets its stream; the connection's others go on.
            Err(panics::Panicked) => {
                self.metrics.panicked(PanickedTask::Stream);
                Poll::Ready(())
            }
        }
    }
}
