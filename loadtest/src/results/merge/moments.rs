//! Whether the shards ran together: blocks of one name are added up as one load, which the server had only if it had all of
//! them at once.

use std::collections::BTreeMap;

use crate::results::{Block, Results};

/// Blocks of which less than this share was under the load of every shard are told.
const TOGETHER: f64 = 0.5;

/// When the blocks of one name began, and how long the shortest was.
struct Span {
    first_ms: u64,
    last_ms: u64,
    shortest_s: f64,
}

impl Span {
    fn of(block: &Block) -> Option<Self> {
        let began = block.began_ms?;
        Some(Self {
            first_ms: began,
            last_ms: began,
            shortest_s: block.elapsed_s,
        })
    }

    fn with(self, other: &Self) -> Self {
        Self {
            first_ms: self.first_ms.min(other.first_ms),
            last_ms: self.last_ms.max(other.last_ms),
            shortest_s: self.shortest_s.min(other.shortest_s),
        }
    }

    fn distance_s(&self) -> f64 {
        self.last_ms.saturating_sub(self.first_ms) as f64 / 1000.0
    }

    fn is_apart(&self) -> bool {
        self.distance_s() > self.shortest_s * (1.0 - TOGETHER)
    }
}

/// What is said of blocks that did not run together, if there are any. Files of older versions do not say when theirs ran.
pub(super) fn apart(shards: &[Results]) -> Option<String> {
    let mut spans: BTreeMap<(usize, (u32, String)), Span> = BTreeMap::new();
    for shard in shards {
        for (index, case) in shard.cases.iter().enumerate() {
            for block in &case.blocks {
                let own = Span::of(block)?;
                let key = (index, block.name());
                let span = match spans.remove(&key) {
                    Some(known) => known.with(&own),
                    None => own,
                };
                spans.insert(key, span);
            }
        }
    }
    let apart = spans.values().filter(|span| span.is_apart());
    let (count, farthest) = apart.fold((0, 0.0_f64), |(count, farthest), span| {
        (count + 1, farthest.max(span.distance_s()))
    });
    (count > 0).then(|| {
        format!(
            "The shards did not run together: {count} of {} blocks began up to {farthest:.1} s apart by the clocks of the \
             generators, so that the server did not have the load that is told here. Give all shards one --start-at, and \
             set their clocks.",
            spans.len()
        )
    })
}
