//! What the kernel allows this process: descriptors by RLIMIT_NOFILE, memory by its cgroup.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::mib;

/// Limits that the kernel sets; `None`: no limit, or none that can be read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Resources {
    /// Open file descriptors.
    pub descriptors: Option<u64>,
    /// Memory.
    pub memory: Option<Memory>,
}

/// A bound of memory and where it comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Memory {
    /// Bytes.
    pub bytes: u64,
    /// Who says so.
    pub source: MemorySource,
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

/// Where a bound of memory comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemorySource {
    /// The limit of the cgroup, beyond which the kernel ends the process.
    Cgroup,
    /// No limit: what the machine has left.
    Available,
}

impl Resources {
    /// Those of this process.
    pub fn of_process() -> Self {
        Self {
            descriptors: getrlimit(Resource::Nofile).current,
            memory: memory(Path::new("/")),
        }
    }

    /// The memory beyond which the kernel ends the process.
    pub(super) fn limit(&self) -> Option<u64> {
        let limit = |memory: &Memory| memory.source == MemorySource::Cgroup;
        self.memory.filter(limit).map(|memory| memory.bytes)
    }

    /// The same after the soft limit of descriptors was raised to the hard one: nothing here uses
    /// select(2), for which the soft limit is kept low.
    pub fn raise_descriptors() -> Self {
        let limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            // Refused only under a policy that forbids the call: then the soft limit holds.
            let raised = Rlimit {
                current: limit.maximum,
                maximum: limit.maximum,
            };
            let _ = setrlimit(Resource::Nofile, raised);
        }
        Self::of_process()
    }
}

/// The smallest limit of the cgroup and those above it, else what the machine has left.
fn memory(root: &Path) -> Option<Memory> {
    let limit = cgroup_limit(root).map(|bytes| (bytes, MemorySource::Cgroup));
    let left = || available(root).map(|bytes| (bytes, MemorySource::Available));
    let (bytes, source) = limit.or_else(left)?;
    Some(Memory { bytes, source })
}

/// `hierarchy:controllers:path` a line (cgroups(7)); version 2 has an empty list of controllers.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let base = root.join("sys/fs/cgroup");
    let paths = own.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            smallest(&base, path, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            smallest(&base.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    paths.min()
}

/// Walks up: the limit of a parent holds too. In a container the path may be one that only the host
/// sees; then the root of the mount is the container's own.
fn smallest(base: &Path, path: &str, file: &str) -> Option<u64> {
    /// Version 1 says "no limit" by a number near 2^63, rounded to pages.
    const NO_LIMIT: u64 = 1 << 60;
    let mut folder: PathBuf = base.join(path);
    let mut least = None;
    loop {
        let read = fs::read_to_string(folder.join(file)).ok();
        let limit = read.and_then(|text| text.trim().parse::<u64>().ok());
        if let Some(limit) = limit.filter(|limit| *limit < NO_LIMIT) {
            least = Some(least.map_or(limit, |least: u64| least.min(limit)));
        }
        if folder == *base || !folder.pop() || !folder.starts_with(base) {
            return least;
        }
    }
}

fn available(root: &Path) -> Option<u64> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn found(files: &[(&str, &str)]) -> Option<(u64, MemorySource)> {
        memory(machine(files).path()).map(|memory| (memory.bytes, memory.source))
    }

    #[test]
    fn the_smallest_limit_up_the_tree_holds() {
        let own = ("proc/self/cgroup", "0::/pod/sidecar\n");
        let pod = ("sys/fs/cgroup/pod/memory.max", "134217728\n");
        let unlimited = ("sys/fs/cgroup/pod/sidecar/memory.max", "max\n");
        let smaller = ("sys/fs/cgroup/pod/sidecar/memory.max", "67108864\n");
        let cgroup = |mib: u64| Some((mib << 20, MemorySource::Cgroup));
        assert_eq!(found(&[own, pod, unlimited]), cgroup(128));
        assert_eq!(found(&[own, pod, smaller]), cgroup(64));
    }

    #[test]
    fn version_1_and_paths_of_the_host_are_understood() {
        let own = (
            "proc/self/cgroup",
            "5:cpu,cpuacct:/x\n4:memory:/kubepods/pod1/c\n0::/\n",
        );
        let mounted = ("sys/fs/cgroup/memory/memory.limit_in_bytes", "134217728\n");
        assert_eq!(
            found(&[own, mounted]),
            Some((128 << 20, MemorySource::Cgroup))
        );
        let none = (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        assert_eq!(found(&[own, none]), None);
    }

    #[test]
    fn without_a_limit_what_is_left_of_the_machine_counts() {
        let left = ("proc/meminfo", "MemTotal: 9 kB\nMemAvailable:  2048 kB\n");
        assert_eq!(found(&[left]), Some((2 << 20, MemorySource::Available)));
        assert_eq!(found(&[]), None);
    }
}
