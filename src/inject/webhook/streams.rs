//! HTTP/2 streams of the webhook are tasks of their own.

use std::sync::Arc;

use hyper::rt::Executor;

use crate::panics::{self, OnPanic};

/// Starts them; hears of their panics, as of those of connections.
#[derive(Clone)]
pub(super) struct Streams(pub(super) OnPanic);

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let panicked = Arc::clone(&self.0);
        panics::spawn(stream, move || panicked());
    }
}
