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
        panics::caught_call(|| work.poll(cx)).unwrap_or_else(|panics::Panicked| {
            // The work reset its stream as it was dropped; the connection's others go on.
            self.metrics.panicked(PanickedTask::Stream);
            Poll::Ready(())
        })
    }
}
