//! The counted bytes of shards: the clients are added up, the server is one.

use crate::results::{ByteCheck, Results};

/// The rows that every shard has; without the count of one generator the sum of the others would be held against all.
pub(super) fn merged(shards: &[Results]) -> Vec<ByteCheck> {
    let Some((first, rest)) = shards.split_first() else {
        return Vec::new();
    };
    let whole = |row: &ByteCheck| {
        let mut sum = row.clone();
        for shard in rest {
            let same = |other: &&ByteCheck| other.target == row.target && other.what == row.what;
            add(&mut sum, shard.checks.iter().find(same)?);
        }
        sum.server_span = None;
        Some(sum)
    };
    first.checks.iter().filter_map(whole).collect()
}

/// The server's count is from the first beginning to the last end, as the generators saw it. Files of older versions do not
/// have these; of them the largest count has most of the others' work in it.
fn add(sum: &mut ByteCheck, other: &ByteCheck) {
    sum.client = sum.client.saturating_add(other.client);
    let spans = sum.server_span.zip(other.server_span);
    sum.server_span = spans.map(|([a, b], [c, d])| [a.min(c), b.max(d)]);
    sum.server = match sum.server_span {
        Some([begun, ended]) => ended.saturating_sub(begun),
        None => sum.server.max(other.server),
    };
}
