//! CPU time and memory of a process and its children, from `/proc` (proc(5)).

use std::fs;

/// Kernel ticks per second as seen by user space; fixed at 100 on Linux.
const TICKS: f64 = 100.0;

/// Seconds of CPU of a process, its threads and its descendants: to the nanosecond from `schedstat` where the
/// kernel keeps it, else to the tick.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let mut total = 0.0;
    for pid in family(pid) {
        total += threads_nanoseconds(pid).map_or_else(|| ticks(pid), |ns| Some(ns as f64 / 1e9))?;
    }
    Some(total)
}

/// Resident bytes of a process and its descendants; shared pages count once for each.
pub fn resident(pid: u32) -> Option<u64> {
    family(pid)
        .into_iter()
        .map(|pid| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
            line.split_whitespace()
                .nth(1)?
                .parse::<u64>()
                .ok()
                .map(|kib| kib * 1024)
        })
        .sum()
}

/// This process's own CPU seconds.
pub fn own_cpu_seconds() -> f64 {
    threads_nanoseconds(std::process::id()).map_or(0.0, |ns| ns as f64 / 1e9)
}

fn threads_nanoseconds(pid: u32) -> Option<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let path = thread.ok()?.path().join("schedstat");
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        total += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    (total > 0).then_some(total)
}

fn ticks(pid: u32) -> Option<f64> {
    let fields = stat(pid)?;
    let used: f64 = [11, 12]
        .iter()
        .filter_map(|index| fields.get(*index)?.parse::<f64>().ok())
        .sum();
    Some(used / TICKS)
}

/// The fields of `/proc/<pid>/stat` after the command name.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(
        text.rsplit_once(')')?
            .1
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
    )
}

/// The process and all below it.
fn family(root: u32) -> Vec<u32> {
    let mut members = vec![root];
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, stat(pid)?.get(1)?.parse().ok()?))
        })
        .collect();
    let mut next = 0;
    while let Some(parent) = members.get(next).copied() {
        members.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        next += 1;
    }
    members
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_cpu_of_a_busy_loop_is_seen() {
        let (before, start) = (own_cpu_seconds(), Instant::now());
        let mut used = 0.0;
        // The kernel counts in steps, and a loaded machine gives the loop little.
        while used <= 0.005 && start.elapsed() < Duration::from_secs(20) {
            std::hint::spin_loop();
            used = own_cpu_seconds() - before;
        }
        assert!(used > 0.005, "{used}");
    }

    #[test]
    fn a_process_that_is_not_there_has_no_figures() {
        assert_eq!(resident(u32::MAX - 1), None);
        assert_eq!(cpu_seconds(u32::MAX - 1), None);
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
