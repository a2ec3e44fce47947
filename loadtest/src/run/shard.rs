//! One of several generators that load the same servers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Which part of the load this generator carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: u32,
    pub of: u32,
}

impl Shard {
    /// Now, in milliseconds since 1970, where `merge` will ask whether the shards ran together.
    pub(super) fn moment(self) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        (self.of > 1).then_some(now.as_millis() as u64)
    }
}
