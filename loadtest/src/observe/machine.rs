//! The machine as it must stand beside every figure, the cores this process may use, and the limit on open files.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::results::Machine;

/// Flags that decide which code path cryptography takes.
const RELEVANT: [&str; 12] = [
    "aes",
    "avx2",
    "avx512f",
    "bmi2",
    "adx",
    "pclmulqdq",
    "sha_ni",
    "vaes",
    "vpclmulqdq",
    "sha2",
    "sha3",
    "pmull",
];

pub fn describe() -> Machine {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
    };
    let flags = field("flags")
        .or_else(|| field("Features"))
        .unwrap_or_default();
    let present: Vec<_> = flags.split_whitespace().collect();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kib: u64 = memory
        .lines()
        .find(|line| line.starts_with("MemTotal:"))
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0);
    Machine {
        cpu: field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        cores: info
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count()
            .max(1),
        memory_mib: memory_kib / 1024,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        cpu_flags: RELEVANT
            .iter()
            .filter(|flag| present.contains(flag))
            .map(|flag| (*flag).to_owned())
            .collect(),
    }
}

/// The cores this thread may run on.
pub fn cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect()
}

/// Binds this thread, and what it starts from now on, to some cores.
pub fn pin(cores: &[usize]) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Raises the limit on open files as far as it goes; returns it.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // If it cannot be raised, the limit as it is decides.
    setrlimit(Resource::Nofile, wanted).ok();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
