//! What the process may hold: descriptors, memory, connections, HTTP/2 buffers, admin permits. One
//! function of the limits that the kernel sets and of the settings; `check` prints it, start warns by
//! it, the injector sizes the sidecar with it. Imports nothing of ours.

mod resources;

use std::fmt;

pub use self::resources::{Memory, MemorySource, Resources};

/// Bytes of the process without connections (11 MiB), and of what the kernel counts to its cgroup.
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
/// Standard streams, sockets that listen, certificate files and the watch of them, a page of metrics.
const FILES: u64 = 64;
/// The runtime of a worker.
const DESCRIPTORS_PER_WORKER: u64 = 4;
/// Bytes of HTTP/2 response data that one connection may hold unsent, over all of its streams.
pub const H2_UNSENT_PER_CONNECTION: u64 = 1 << 20;
/// The same for all connections of the process together.
pub const H2_UNSENT_PROCESS: u64 = 16 << 20;

/// What the settings ask for.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// Name and `max-connections` of each listener.
    pub listeners: Vec<(String, usize)>,
    /// Connections of the admin port.
    pub admin: usize,
    /// Worker threads.
    pub workers: usize,
}

/// What the process may hold.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Budget {
    resources: Resources,
    /// Descriptors that no client of a listener gets.
    pub reserved_descriptors: u64,
    /// Connections that each listener may hold, in the order of the demand.
    pub connections: Vec<usize>,
    /// Connections that the settings ask for.
    asked: u64,
    /// Connections of the admin port.
    pub admin: usize,
}

impl Budget {
    /// The budget of these settings under these limits.
    pub fn new(resources: &Resources, demand: &Demand) -> Self {
        let reserved = FILES + DESCRIPTORS_PER_WORKER * demand.workers as u64 + demand.admin as u64;
        let left = resources
            .descriptors
            .map_or(u64::MAX, |limit| limit.saturating_sub(reserved));
        let fit = left / DESCRIPTORS_PER_CONNECTION;
        let asked = demand.listeners.iter().map(|(_, asked)| *asked as u64);
        let asked = asked.fold(0_u64, u64::saturating_add);
        let granted = |(_, wanted): &(String, usize)| share(*wanted, asked, fit);
        Self {
            resources: *resources,
            reserved_descriptors: reserved,
            connections: demand.listeners.iter().map(granted).collect(),
            asked,
            admin: demand.admin,
        }
    }

    /// What exceeds a limit: the numbers and the remedy, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let granted = self.granted();
        let mut lines = Vec::new();
        if granted < self.asked {
            let limit = self.resources.descriptors.unwrap_or(u64::MAX);
            lines.push(format!(
                "max-connections {} need {} file descriptors with {} in reserve, and the limit is {limit}: at most {granted} connections are held; raise the hard limit (ulimit -Hn, LimitNOFILE=) or lower max-connections",
                self.asked,
                self.asked.saturating_mul(DESCRIPTORS_PER_CONNECTION).saturating_add(self.reserved_descriptors),
                self.reserved_descriptors,
            ));
        }
        if let Some(Memory {
            bytes,
            source: MemorySource::Cgroup,
        }) = self.resources.memory
            && self.most_memory() > bytes
        {
            lines.push(format!(
                "{granted} connections with unread responses may take {} MiB, and the memory limit is {} MiB: raise it, or lower max-connections to {}",
                mib(self.most_memory()),
                mib(bytes),
                connections(bytes, 1),
            ));
        }
        lines
    }

    fn granted(&self) -> u64 {
        self.connections.iter().map(|count| *count as u64).sum()
    }

    fn most_memory(&self) -> u64 {
        memory_of(self.granted(), BUSY_CONNECTION_MEMORY)
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
            "# connections: at most {connections}, and {} of the admin port",
            self.admin
        )?;
        let memory = self.resources.memory;
        writeln!(
            f,
            "# memory: {}; {} MiB if all connections are idle, {} MiB if none reads its response",
            memory.map_or("no limit".to_owned(), |memory| memory.to_string()),
            mib(memory_of(connections, IDLE_CONNECTION_MEMORY)),
            mib(self.most_memory()),
        )?;
        writeln!(
            f,
            "# unsent HTTP/2 data: {} KiB a connection, {} MiB in all",
            H2_UNSENT_PER_CONNECTION >> 10,
            mib(H2_UNSENT_PROCESS),
        )?;
        self.warnings()
            .iter()
            .try_for_each(|line| writeln!(f, "# warning: {line}"))
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = mib(self.bytes);
        match self.source {
            MemorySource::Cgroup => write!(f, "limit of the cgroup {bytes} MiB"),
            MemorySource::Available => write!(f, "no limit, {bytes} MiB available"),
        }
    }
}

/// Connections that each of `listeners` may have so that all of them fit into `memory` bytes, whatever
/// they do; beyond the limit of memory the kernel would end the process and with it all of them.
pub fn connections(memory: u64, listeners: u64) -> u64 {
    let room = memory.saturating_sub(PROCESS_MEMORY) / BUSY_CONNECTION_MEMORY;
    (room / listeners.max(1)).clamp(1, MOST_CONNECTIONS)
}

fn memory_of(connections: u64, each: u64) -> u64 {
    PROCESS_MEMORY.saturating_add(connections.saturating_mul(each))
}

/// The part of `fit` that `wanted` of `asked` gets; at least one.
fn share(wanted: usize, asked: u64, fit: u64) -> usize {
    if asked <= fit {
        return wanted;
    }
    let part = u128::from(fit) * wanted as u128 / u128::from(asked.max(1));
    usize::try_from(part).unwrap_or(wanted).max(1)
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_memory(bytes: u64) -> Resources {
        Resources {
            memory: Some(Memory {
                bytes,
                source: MemorySource::Cgroup,
            }),
            ..Resources::default()
        }
    }

    fn demand(listeners: &[usize]) -> Demand {
        Demand {
            listeners: listeners.iter().map(|n| ("a".to_owned(), *n)).collect(),
            admin: 128,
            workers: 2,
        }
    }

    #[test]
    fn descriptors_that_are_left_bound_the_connections_of_all_listeners() {
        let resources = Resources {
            descriptors: Some(1024),
            memory: None,
        };
        let budget = Budget::new(&resources, &demand(&[10_000]));
        assert_eq!(budget.reserved_descriptors, 64 + 8 + 128);
        assert_eq!(budget.connections, [412]);
        let warnings = budget.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for number in ["10000", "20200", "1024", "412"] {
            assert!(warnings[0].contains(number), "{warnings:?}");
        }
        assert!(budget.to_string().contains("# warning: max-connections"));
        let two = Budget::new(&resources, &demand(&[300, 100]));
        assert_eq!(two.connections, [300, 100]);
        let two = Budget::new(&resources, &demand(&[900, 300]));
        assert_eq!(two.connections, [309, 103]);
        let none_left = Resources {
            descriptors: Some(100),
            ..resources
        };
        assert_eq!(Budget::new(&none_left, &demand(&[10])).connections, [1]);
    }

    #[test]
    fn connections_that_outgrow_the_memory_are_warned_about() {
        let resources = with_memory(128 << 20);
        assert!(
            Budget::new(&resources, &demand(&[298]))
                .warnings()
                .is_empty()
        );
        let warnings = Budget::new(&resources, &demand(&[1000])).warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        for number in ["1000", "391 MiB", "128 MiB", "298"] {
            assert!(warnings[0].contains(number), "{warnings:?}");
        }
        // What the machine happens to have left is no limit.
        let available = Resources {
            memory: resources.memory.map(|memory| Memory {
                source: MemorySource::Available,
                ..memory
            }),
            ..resources
        };
        assert!(
            Budget::new(&available, &demand(&[1000]))
                .warnings()
                .is_empty()
        );
    }

    #[test]
    fn connections_follow_the_memory_and_are_shared_by_listeners() {
        assert_eq!(connections(128 << 20, 1), 298);
        assert_eq!(connections(64 << 20, 1), 128);
        assert_eq!(connections(64 << 20, 3), 42);
        assert_eq!(connections(4 << 30, 1), MOST_CONNECTIONS);
        assert_eq!(connections(1, 1), 1);
    }
}
