//! One block as it is recorded, and which blocks of a case are kept.

use std::time::Duration;

use crate::results::histogram::Packed;
use crate::results::{Block, CaseResult};
use crate::session::Sample;

/// A block without the figures of the server.
pub(super) fn block_of(pair: u32, target: &str, sample: &Sample, elapsed: Duration) -> Block {
    Block {
        pair,
        began_ms: None,
        target: target.to_owned(),
        elapsed_s: elapsed.as_secs_f64(),
        ops: sample.ops,
        units: sample.units,
        errors: sample.errors,
        unserved: sample.unserved,
        reopened: sample.reopened,
        bytes: sample.bytes,
        latency: Packed::of(&sample.latency),
        first: (!sample.first.is_empty()).then(|| Packed::of(&sample.first)),
        gap: (!sample.gap.is_empty()).then(|| Packed::of(&sample.gap)),
        late: (!sample.late.is_empty()).then(|| Packed::of(&sample.late)),
        server_cpu_s: None,
        generator_cpu_s: 0.0,
        server_rss: None,
        rss_added: None,
    }
}

/// An interrupted round is no pair: its conditions are recorded when all that took part have their blocks.
pub(super) fn drop_unfinished(measured: &mut CaseResult) {
    let rounds = &measured.rounds;
    measured
        .blocks
        .retain(|block| rounds.iter().any(|round| round.pair == block.pair));
}
