//! Operations that open a connection of their own.

use std::sync::Arc;
use std::time::Instant;

use super::close::close_stream;
use super::{Outcome, Session};
use crate::error::Result;
use crate::http::h1::H1;
use crate::net::counts::Bytes;

impl Session {
    /// A connection for these requests only, each the bytes up and down.
    pub(super) async fn fresh(&mut self, due: Instant, requests: &[(u64, u64)]) -> Result<Outcome> {
        let stream = self.dialer.dial(self.expect).await?.stream;
        let mut meter = Arc::clone(stream.meter());
        let mut begun = Bytes::default();
        let mut h1 = H1::new(stream);
        let mut units = 0;
        for (up, down) in requests {
            if h1.is_last() {
                let since = Instant::now();
                close_stream(h1.stream).await;
                self.reopening.bytes.add(&meter.read().since(&begun));
                h1 = H1::new(self.dialer.dial(self.expect).await?.stream);
                meter = Arc::clone(h1.stream.meter());
                begun = meter.read();
                self.reopening.time += since.elapsed();
                self.reopening.count += 1;
            }
            units += self.http(&mut h1, *up, *down).await?;
        }
        let latency = due.elapsed().saturating_sub(self.reopening.time);
        close_stream(h1.stream).await;
        let mut bytes = meter.read().since(&begun);
        bytes.add(&self.reopening.bytes);
        Ok(Outcome {
            latency,
            units,
            bytes,
        })
    }
}
