//! What the process may hold: descriptors, memory, connections, HTTP/2 buffers, admin permits. One
//! function of the limits that the kernel sets and of the settings; `check` prints it, start warns by
//! it, the injector sizes the sidecar with it. Imports nothing of ours.

mod demand;
mod http2;
mod resources;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::demand::{Asked, Demand, SPAN_MEMORY};
pub use self::http2::{FIRST_UPLOAD_WINDOW, Http2, UNSENT_PER_CONNECTION, UPLOAD_WINDOW};
pub use self::resources::{Memory, MemorySource, Resources};

/// Bytes of the process and no connections but those of its admin port (11 MiB), of handshakes in computation,
/// and of what the kernel counts to its cgroup.
pub const PROCESS_MEMORY: u64 = 16 << 20;
/// Bytes of an idle connection after its handshake.
pub const IDLE_CONNECTION_MEMORY: u64 = 12 << 10;
/// Bytes of a connection at most: a response that its client does not read, with what the allocator
/// keeps beside it. tests/k8s/memory.py measures it.
pub const BUSY_CONNECTION_MEMORY: u64 = 384 << 10;
/// The default of `max-connections`; more memory than that needs does not raise it.
const MOST_CONNECTIONS: u64 = 10_000;
/// The client's socket and, while a request is under way, one to the upstream.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;
/// Connections of a listener that were told to make room and have not closed yet, at most: they are open
/// beside those that the listener holds.
const CLOSING: u64 = 64;
/// What the process may hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Budget {
    resources: Resources,
    /// What HTTP/2 takes beyond its connections.
    http2: Http2,
    /// Bytes of spans that wait for the collector.
    spans: u64,
    /// Bytes of the signatures that were seen.
    replay: u64,
    /// Descriptors that no client of a listener gets.
    pub reserved_descriptors: u64,
    /// Connections that each listener may hold, in the order of the demand.
    pub connections: Vec<usize>,
    /// Sockets to upstreams: what the connections leave; `None`: no bound.
    upstream_sockets: Option<u64>,
    /// Connections that the settings ask for.
    asked: u64,
    /// The same before defaults gave way.
    default: u64,
    /// Listeners and egresses.
    sides: usize,
    /// Somebody wrote a number of connections.
    explicit: bool,
    /// Handshakes that may wait for their clients, and that may be in computation.
    handshakes: (u64, usize),
    /// Connections of the admin port.
    pub admin: usize,
}

impl Budget {
    /// The budget of these settings under these limits.
    pub fn new(resources: &Resources, demand: &Demand) -> Self {
        let reserved = demand.descriptors();
        let left = resources
            .descriptors
            .map_or(u64::MAX, |limit| limit.saturating_sub(reserved));
        let fit = left / DESCRIPTORS_PER_CONNECTION;
        let count = demand.listeners.len() as u64;
        let (spans, replay) = (demand.span_memory(), demand.replay_memory());
        let others = spans.saturating_add(replay);
        let fits = resources
            .limit()
            .map_or(u64::MAX, |memory| connections(memory, others, count));
        let fits = usize::try_from(fits).unwrap_or(usize::MAX);
        let wanted = |asked: &Asked| {
            let most = if asked.explicit { usize::MAX } else { fits };
            asked.connections.min(most)
        };
        let wanted: Vec<usize> = demand.listeners.iter().map(wanted).collect();
        let asked = sum(wanted.iter().copied());
        let handshakes = sum(demand.listeners.iter().map(|asked| asked.handshakes));
        let connections: Vec<usize> = wanted.iter().map(|n| share(*n, asked, fit)).collect();
        let granted = sum(connections.iter().copied());
        let upstream = |_| upstream_sockets(left.saturating_sub(granted), count);
        Self {
            resources: *resources,
            spans,
            replay,
            http2: Http2::of(resources.memory.map(|memory| memory.bytes)),
            reserved_descriptors: reserved,
            upstream_sockets: resources.descriptors.map(upstream),
            connections,
            asked,
            sides: demand.listeners.len(),
            default: sum(demand.listeners.iter().map(|asked| asked.connections)),
            explicit: demand.listeners.iter().any(|asked| asked.explicit),
            handshakes: (handshakes, demand.workers),
            admin: demand.admin,
        }
    }

    /// Sockets that may be open to upstreams; `None`: no bound.
    pub fn upstream_sockets(&self) -> Option<usize> {
        let bound = self.upstream_sockets?;
        Some(usize::try_from(bound).unwrap_or(usize::MAX))
    }

    /// A default that gave way.
    pub fn note(&self) -> Option<String> {
        let granted = self.granted();
        let default = match self.sides {
            1 => format!("max-connections is {} by default", self.default),
            sides => format!(
                "max-connections of {sides} listeners and egresses add up to {} by default",
                self.default
            ),
        };
        let gave_way = !self.explicit && granted < self.default;
        gave_way
            .then(|| format!("{default}, and {granted} fit into the memory and the descriptors"))
    }

    /// What is written and exceeds a limit: the numbers and the remedy, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = vec![self.too_large_tables()];
        if self.explicit {
            lines.extend([self.too_few_descriptors(), self.too_little_memory()]);
        }
        lines.into_iter().flatten().collect()
    }

    /// Half of the memory and more is for other things than connections, whose default gives way in silence.
    fn too_large_tables(&self) -> Option<String> {
        let bytes = self.resources.limit()?;
        (self.replay > bytes / 2).then(|| {
            format!(
                "the signatures that replay-table remembers may take {} MiB, and the memory limit is {} MiB: raise it, or lower replay-table",
                mib(self.replay),
                mib(bytes),
            )
        })
    }

    fn too_few_descriptors(&self) -> Option<String> {
        let granted = self.granted();
        let limit = self
            .resources
            .descriptors
            .filter(|_| granted < self.asked)?;
        let reserved = self.reserved_descriptors;
        let needed = self
            .asked
            .saturating_mul(DESCRIPTORS_PER_CONNECTION)
            .saturating_add(reserved);
        Some(format!(
            "max-connections {} need {needed} file descriptors with {reserved} in reserve, and the limit is {limit}: at most {granted} connections are held; raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower max-connections",
            self.asked,
        ))
    }

    fn too_little_memory(&self) -> Option<String> {
        let bytes = self
            .resources
            .limit()
            .filter(|bytes| self.most_memory() > *bytes)?;
        Some(format!(
            "{} connections with unread responses may take {} MiB, {} MiB of it for HTTP/2{}, and the memory limit is {} MiB: raise it, or lower max-connections to {}",
            self.granted(),
            mib(self.most_memory()),
            mib(self.http2.bytes()),
            self.for_others(),
            mib(bytes),
            connections(bytes, self.spans.saturating_add(self.replay), 1),
        ))
    }

    fn granted(&self) -> u64 {
        sum(self.connections.iter().copied())
    }

    /// Bytes that the process holds at most: what `check` prints as the sum.
    pub fn most_memory(&self) -> u64 {
        memory_of(self.granted(), BUSY_CONNECTION_MEMORY)
            .saturating_add(self.http2.bytes())
            .saturating_add(self.spans)
            .saturating_add(self.replay)
    }

    /// What spans and signatures add, where there are any.
    fn for_others(&self) -> String {
        let others = [(self.spans, "spans"), (self.replay, "signatures seen")];
        let others = others.iter().filter(|(bytes, _)| *bytes > 0);
        let said = others.map(|(bytes, what)| format!(", {} MiB for {what}", mib(*bytes)));
        said.collect()
    }
}

/// The budget as comments of a configuration file.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |limit: Option<u64>| limit.map_or("none".to_owned(), |n| n.to_string());
        let connections = self.granted();
        writeln!(
            f,
            "# file descriptors: limit {}, {} reserved, {DESCRIPTORS_PER_CONNECTION} a connection",
            limit(self.resources.descriptors),
            self.reserved_descriptors,
        )?;
        writeln!(
            f,
            "# upstream sockets: at most {}, one in four of them kept for the first request of a connection",
            limit(self.upstream_sockets),
        )?;
        let (waiting, computed) = self.handshakes;
        writeln!(
            f,
            "# connections: at most {connections}, and {} of the admin port",
            self.admin
        )?;
        writeln!(
            f,
            "# handshakes: at most {} of these connections wait for their clients, {computed} handshakes are in computation",
            waiting.min(connections),
        )?;
        self.http2.fmt(f)?;
        let memory = self.resources.memory;
        writeln!(
            f,
            "# memory: {}; {} MiB for the process, {} KiB an idle and {} KiB a busy connection, {} MiB for HTTP/2{}: {} MiB if all connections are idle, {} MiB if none reads its response",
            memory.map_or("no limit".to_owned(), |memory| memory.to_string()),
            mib(PROCESS_MEMORY),
            IDLE_CONNECTION_MEMORY >> 10,
            BUSY_CONNECTION_MEMORY >> 10,
            mib(self.http2.bytes()),
            self.for_others(),
            mib(memory_of(connections, IDLE_CONNECTION_MEMORY)),
            mib(self.most_memory()),
        )?;
        writeln!(
            f,
            "# socket buffers of the kernel come on top: for each socket up to the third numbers of net.ipv4.tcp_wmem and net.ipv4.tcp_rmem, 4 and 6 MiB by default; for the host up to net.ipv4.tcp_mem",
        )?;
        self.warnings()
            .iter()
            .try_for_each(|line| writeln!(f, "# warning: {line}"))
    }
}

/// Connections that each of `listeners` may have so that all of them fit into `memory` bytes beside `others`
/// bytes of spans and signatures seen, whatever they do; beyond the limit of memory the kernel would end the process and with it
/// all of them.
pub fn connections(memory: u64, others: u64, listeners: u64) -> u64 {
    let fixed = PROCESS_MEMORY + Http2::of(Some(memory)).bytes();
    let room = memory.saturating_sub(fixed.saturating_add(others)) / BUSY_CONNECTION_MEMORY;
    (room / listeners.max(1)).clamp(1, MOST_CONNECTIONS)
}

fn memory_of(connections: u64, each: u64) -> u64 {
    PROCESS_MEMORY.saturating_add(connections.saturating_mul(each))
}

/// What `left` descriptors allow beside those of connections that are closing.
fn upstream_sockets(left: u64, listeners: u64) -> u64 {
    let closing = listeners.saturating_mul(CLOSING).min(left / 4);
    (left - closing).max(1)
}

/// The part of `fit` that `wanted` of `asked` gets; at least one.
fn share(wanted: usize, asked: u64, fit: u64) -> usize {
    if asked <= fit {
        return wanted;
    }
    let part = u128::from(fit) * wanted as u128 / u128::from(asked.max(1));
    usize::try_from(part).unwrap_or(wanted).max(1)
}

fn sum(counts: impl Iterator<Item = usize>) -> u64 {
    counts
        .map(|count| count as u64)
        .fold(0, u64::saturating_add)
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
