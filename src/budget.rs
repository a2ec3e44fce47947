//! What the process may hold: descriptors, memory, connections, HTTP/2 buffers, admin permits. One
//! function of the limits that the kernel sets and of the settings; `check` prints it, start warns by
//! it, the injector sizes the sidecar with it. Imports nothing of ours.

mod resources;

pub use self::resources::{Memory, MemorySource, Resources};

/// Bytes of the process without connections (11 MiB), and of what the kernel counts to its cgroup.
pub const PROCESS_MEMORY: u64 = 16 << 20;
/// Bytes of an idle connection after its handshake.
pub const IDLE_CONNECTION_MEMORY: u64 = 12 << 10;
/// Bytes of a connection at most: a response that its client does not read, with what the allocator
/// keeps beside it. tests/k8s/memory.py measures it.
pub const BUSY_CONNECTION_MEMORY: u64 = 384 << 10;
/// The share of memory, after the process itself, that unsent HTTP/2 data of all connections may take
/// beyond what `BUSY_CONNECTION_MEMORY` allows each of them: one part in so many.
const H2_UNSENT_SHARE: u64 = 8;
/// Bounds of that, for tiny limits and for machines without one.
const H2_UNSENT_PROCESS: (u64, u64) = (4 << 20, 256 << 20);
/// Unsent HTTP/2 data of one connection: a quarter of the process's, within these bounds.
const H2_UNSENT_PER_CONNECTION: (u64, u64) = (512 << 10, 4 << 20);

/// What the process may hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// Bytes of HTTP/2 response data that one connection may hold unsent, over all of its streams.
    pub h2_unsent_per_connection: u64,
    /// The same for all connections of the process together.
    pub h2_unsent_process: u64,
}

impl Budget {
    /// The budget under these limits.
    pub fn new(resources: &Resources) -> Self {
        let h2_unsent_process = resources
            .memory
            .map_or(H2_UNSENT_PROCESS.1, |memory| h2_unsent(memory.bytes));
        Self {
            h2_unsent_per_connection: bounded(h2_unsent_process / 4, H2_UNSENT_PER_CONNECTION),
            h2_unsent_process,
        }
    }
}

fn h2_unsent(memory: u64) -> u64 {
    bounded(
        memory.saturating_sub(PROCESS_MEMORY) / H2_UNSENT_SHARE,
        H2_UNSENT_PROCESS,
    )
}

fn bounded(value: u64, (least, most): (u64, u64)) -> u64 {
    value.clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_memory(bytes: u64) -> Budget {
        Budget::new(&Resources {
            memory: Some(Memory {
                bytes,
                source: MemorySource::Cgroup,
            }),
            ..Resources::default()
        })
    }

    #[test]
    fn unsent_http2_data_follows_the_memory_within_bounds() {
        let sidecar = with_memory(128 << 20);
        assert_eq!(sidecar.h2_unsent_process, 14 << 20);
        assert_eq!(sidecar.h2_unsent_per_connection, 3584 << 10);
        let tiny = with_memory(32 << 20);
        assert_eq!(tiny.h2_unsent_process, 4 << 20);
        let unlimited = Budget::new(&Resources::default());
        assert_eq!(unlimited.h2_unsent_process, 256 << 20);
        assert_eq!(unlimited.h2_unsent_per_connection, 4 << 20);
    }
}
