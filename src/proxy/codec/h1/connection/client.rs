//! What is known of a connection that is a client's.

use std::sync::Arc;

use crate::listener::Activity;
use crate::proxy::codec::patience::Patience;

/// A client.
pub(super) struct Client {
    pub(super) activity: Arc<Activity>,
    pub(super) patience: Patience,
}
