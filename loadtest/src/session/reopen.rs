//! Connections that outlive an operation, opened again: after an error, and where the server has announced the end of the one
//! before. The latter is no failure, and no part of an operation on an open connection: neither its latency nor its bytes.

use std::time::Instant;

use super::{Open, Session};
use crate::error::Result;

impl Session {
    /// Opens the persistent connection where there is none, or none that takes another request.
    pub(super) async fn ensure_open(&mut self) -> Result<()> {
        let is_leaving = match &self.open {
            Open::Nothing => {
                self.connect().await?;
                self.begun = self.counted();
                return Ok(());
            }
            Open::H1(h1) => h1.is_last(),
            Open::H2(shared) | Open::Call(shared, _) => shared.h2.is_leaving(),
            Open::Tcp(_) => false,
        };
        if is_leaving {
            self.reopen(Instant::now()).await?;
        }
        Ok(())
    }

    /// Opens another connection for the operation under way; since this moment nothing was done for it.
    pub(super) async fn reopen(&mut self, since: Instant) -> Result<()> {
        let left = self.counted_since_begun();
        self.reopening.bytes.add(&left);
        self.close().await;
        let is_new = self.connect().await?;
        self.begun = self.counted();
        self.reopening.time += since.elapsed();
        self.reopening.count += u64::from(is_new);
        Ok(())
    }
}
