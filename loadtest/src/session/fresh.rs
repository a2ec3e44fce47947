//! Operations that open a connection of their own.

use std::sync::Arc;
use std::time::Instant;

use super::close::close_stream;
use super::{Outcome, Session};
use crate::error::Result;
use crate::http::h1::H1;

impl Session {
    /// A connection for these requests only, each the bytes up and down.
    pub(super) async fn fresh(&mut self, due: Instant, requests: &[(u64, u64)]) -> Result<Outcome> {
        let stream = self.dialer.dial(self.expect).await?.stream;
        let meter = Arc::clone(stream.meter());
        let mut h1 = H1::new(stream);
        let mut units = 0;
        for (up, down) in requests {
            units += self.http(&mut h1, *up, *down).await?;
        }
        let latency = due.elapsed();
        close_stream(h1.stream).await;
        Ok(Outcome {
            latency,
            units,
            bytes: meter.read(),
        })
    }
}
