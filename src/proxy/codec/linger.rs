//! How long and how much a side that closes still reads (RFC 9112 §9.6, RFC 9113 §8.1).

use std::time::Duration;

/// Silence of a client that has everything, until it is not waited for any more.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// How long a client that goes on sending is listened to once it has everything, and how much of it.
pub(crate) const LISTENED: Duration = Duration::from_secs(30);
pub(crate) const LISTENED_BYTES: usize = 64 * 1024 * 1024;
