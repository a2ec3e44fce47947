//! A handshake as the metrics take it, of either side of the proxy.

use crate::metrics::HandshakeSample;
use crate::tls::handshake::Session;

/// What one completed handshake adds to the metrics.
pub(crate) fn sample(session: &Session) -> HandshakeSample {
    HandshakeSample {
        group: session.group.name(),
        kind: session.kind.as_str(),
        offered: session.offered.as_str(),
        retried: session.retried,
        elapsed: session.cost.elapsed,
        compute: session.cost.compute,
        key_exchange: session.cost.key_exchange,
        bytes_in: session.cost.bytes_in,
        bytes_out: session.cost.bytes_out,
    }
}
