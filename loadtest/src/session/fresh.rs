//! Operations that open a connection of their own.

use std::sync::Arc;
use std::time::Instant;

use super::close::close_stream;
use super::{Outcome, Session};
use crate::error::Result;
use crate::http::h1::H1;
use crate::net::dial::Dialed;

impl Session {
    pub(super) async fn fresh_request(
        &mut self,
        due: Instant,
        up: u64,
        down: u64,
    ) -> Result<Outcome> {
        let Dialed { stream, .. } = self.dialer.dial(self.expect).await?;
        let meter = Arc::clone(stream.meter());
        let mut h1 = H1::new(stream);
        let units = self.http(&mut h1, up, down).await?;
        let latency = due.elapsed();
        close_stream(h1.stream).await;
        Ok(Outcome {
            latency,
            units,
            bytes: meter.read(),
        })
    }

    /// A federated client: takes the model, gives its update, leaves.
    pub(super) async fn federated(&mut self, due: Instant) -> Result<Outcome> {
        let Dialed { stream, .. } = self.dialer.dial(self.expect).await?;
        let meter = Arc::clone(stream.meter());
        let mut h1 = H1::new(stream);
        let units = self.http(&mut h1, 0, self.case.down).await?
            + self.http(&mut h1, self.case.up, 0).await?;
        let latency = due.elapsed();
        close_stream(h1.stream).await;
        Ok(Outcome {
            latency,
            units,
            bytes: meter.read(),
        })
    }
}
