//! What the client counted, beside what the server counted of the same: over all cases of a target, or of all targets
//! whose counts the server adds up.

use std::time::Duration;

use super::target::Resolved;
use crate::results::ByteCheck;

/// What the two count alike, seen from the client.
const COUNTED: [&str; 5] = [
    "handshakes",
    "handshake bytes up",
    "handshake bytes down, tickets included",
    "bytes after the handshake, up",
    "bytes after the handshake, down",
];

/// The server counts these apart for each group, the rest for the whole listener.
const BY_GROUP: usize = 3;

/// The server counts a connection when it has seen its end.
const SETTLE: Duration = Duration::from_millis(300);

/// The counts of all targets at the beginning of a run.
#[derive(Debug)]
pub struct Counted(Vec<Totals>);

/// The counts of one target at one moment.
#[derive(Debug)]
struct Totals {
    client: [u64; 5],
    /// None where the server exports no such counts.
    server: Option<[u64; 5]>,
}

impl Counted {
    pub(crate) async fn begin(targets: &[Resolved]) -> Self {
        let mut totals = Vec::new();
        for target in targets {
            totals.push(Totals::read(target).await);
        }
        Self(totals)
    }

    /// What both counted since then, side by side.
    pub(super) async fn end(self, targets: &[Resolved], is_shard: bool) -> Vec<ByteCheck> {
        if self.0.iter().all(|totals| totals.server.is_none()) {
            return Vec::new();
        }
        tokio::time::sleep(SETTLE).await;
        let after = Self::begin(targets).await;
        checks(targets, &self.0, &after.0, is_shard)
    }
}

impl Totals {
    async fn read(target: &Resolved) -> Self {
        let totals = target.endpoint.totals.read();
        Self {
            client: [
                totals.handshakes,
                totals.handshake_up,
                totals.handshake_down + totals.tickets,
                totals.wire_up - totals.handshake_up,
                totals.wire_down - totals.handshake_down - totals.tickets,
            ],
            server: of_server(target).await,
        }
    }
}

async fn of_server(target: &Resolved) -> Option<[u64; 5]> {
    let listener = ("listener", target.plan.listener.as_deref()?);
    let samples = target.probe.scrape().await?;
    let group = ("group", target.plan.expect.name());
    let of = |name: &str, labels: &[(&str, &str)]| samples.sum(name, labels).unwrap_or(0.0) as u64;
    let handshake = |way| {
        let labels = [listener, group, ("direction", way)];
        of("hybridge_handshake_bytes_sum", &labels)
    };
    let wire = |way| of("hybridge_wire_bytes_total", &[listener, ("direction", way)]);
    Some([
        of("hybridge_handshakes_total", &[listener, group]),
        handshake("in"),
        handshake("out"),
        wire("in"),
        wire("out"),
    ])
}

/// One row for each count of the server, beside the sum of the targets that are in it. A shard also keeps where the server's
/// count began and ended: other generators' work is in it, and only `merge` can tell.
fn checks(
    targets: &[Resolved],
    before: &[Totals],
    after: &[Totals],
    is_shard: bool,
) -> Vec<ByteCheck> {
    let mut checks = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let (Some(begun), Some(ended)) = (before[index].server, after[index].server) else {
            continue;
        };
        for (row, what) in COUNTED.iter().enumerate() {
            let is_in = |other: &usize| counts_as(&targets[*other], target, row);
            let sharing: Vec<usize> = (0..targets.len()).filter(is_in).collect();
            let told = |other: &usize| {
                *other < index && before[*other].server.is_some() && after[*other].server.is_some()
            };
            if sharing.iter().any(told) {
                continue;
            }
            let names: Vec<&str> = sharing
                .iter()
                .map(|other| targets[*other].plan.name.as_str())
                .collect();
            let client = sharing
                .iter()
                .map(|other| after[*other].client[row] - before[*other].client[row]);
            checks.push(ByteCheck {
                target: names.join(" + "),
                what: (*what).to_owned(),
                client: client.sum(),
                server: ended[row].saturating_sub(begun[row]),
                server_span: is_shard.then_some([begun[row], ended[row]]),
            });
        }
    }
    checks
}

/// Whether the server counts what `other` does as what `target` does: one listener, and one group where it tells groups apart.
fn counts_as(other: &Resolved, target: &Resolved, row: usize) -> bool {
    let same_listener = other.endpoint.address == target.endpoint.address
        || (other.probe.metrics == target.probe.metrics
            && other.plan.listener == target.plan.listener);
    same_listener && (row >= BY_GROUP || other.plan.expect == target.plan.expect)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::target::resolve;
    use super::*;
    use crate::plan::{Role, Target};
    use crate::tls::Group;

    fn target(name: &str, port: u16, group: Group, listener: Option<&str>) -> Resolved {
        let url = format!("tls://127.0.0.1:{port}");
        let own = Target::new(name, url.replace("tls", "http"), Role::Subject, vec![group]);
        let mut target = resolve(&own).unwrap();
        target.probe.metrics = listener.map(|_| "127.0.0.1:9".parse().unwrap());
        target.plan.listener = listener.map(str::to_owned);
        target
    }

    /// Five counts of the client, and the same of the server where it has them.
    fn totals(client: u64, server: Option<u64>) -> Totals {
        Totals {
            client: [client; 5],
            server: server.map(|count| [count; 5]),
        }
    }

    fn told(checks: &[ByteCheck]) -> Vec<(&str, u64, u64)> {
        checks
            .iter()
            .map(|check| (check.target.as_str(), check.client, check.server))
            .collect()
    }

    /// A server "that does both" counts bytes after the handshake for its listener, handshakes for each group.
    #[test]
    fn targets_of_one_listener_are_added_up_where_the_server_adds_them_up() {
        let (hybrid, classical) = (Group::X25519MLKEM768, Group::X25519);
        let targets = [
            target("hybrid", 1, hybrid, Some("http")),
            target("classical", 1, classical, Some("http")),
            target("other", 2, classical, Some("other")),
            target("unseen", 3, classical, None),
        ];
        let before = [
            totals(0, Some(5)),
            totals(0, Some(5)),
            totals(0, Some(5)),
            totals(0, None),
        ];
        let after = [
            totals(30, Some(45)),
            totals(10, Some(45)),
            totals(7, Some(12)),
            totals(1, None),
        ];
        let whole = checks(&targets, &before, &after, false);
        let (both, of_one) = (("hybrid + classical", 40, 40), ("hybrid", 30, 40));
        let rest = [("classical", 10, 40); 3]
            .into_iter()
            .chain([("other", 7, 7); 5]);
        let expected: Vec<_> = [of_one, of_one, of_one, both, both]
            .into_iter()
            .chain(rest)
            .collect();
        assert_eq!(told(&whole), expected);
        assert!(whole.iter().all(|check| check.server_span.is_none()));
        let shard = checks(&targets, &before, &after, true);
        assert_eq!(shard[0].server_span, Some([5, 45]));
    }

    /// As in a comparison of a server with itself under another load.
    #[test]
    fn twins_of_one_group_have_one_row_for_each_count() {
        let group = Group::X25519;
        let targets = [
            target("few", 1, group, Some("http")),
            target("many", 1, group, None),
        ];
        let before = [totals(0, Some(0)), totals(0, None)];
        let after = [totals(3, Some(12)), totals(9, None)];
        assert_eq!(
            told(&checks(&targets, &before, &after, false)),
            [("few + many", 12, 12); 5]
        );
    }
}
