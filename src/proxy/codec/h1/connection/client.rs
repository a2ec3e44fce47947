//! What is known of a connection that is a client's.

use std::io;
use std::sync::Arc;

use crate::listener::Activity;
use crate::proxy::codec::patience::Patience;

/// A client.
pub(super) struct Client<S> {
    pub(super) activity: Arc<Activity>,
    pub(super) untaken: fn(&S) -> io::Result<usize>,
    pub(super) patience: Patience,
}
