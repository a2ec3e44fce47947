//! What is known of a connection that is a client's.

use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Sleep;

use crate::listener::Activity;
use crate::proxy::codec::patience::Patience;

/// A client.
pub(super) struct Client<S> {
    pub(super) activity: Arc<Activity>,
    pub(super) patience: Patience,
    pub(super) gone: fn(&S, bool) -> bool,
    /// Until the next look.
    pub(super) watch: Option<Pin<Box<Sleep>>>,
}
