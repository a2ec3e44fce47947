//! CPU time and memory of a process and its children, from `/proc` (proc(5)).

use std::fs;
use std::time::Duration;

use nix::time::ClockId;
use nix::unistd::Pid;

/// Kernel ticks per second as seen by user space; fixed at 100 on Linux.
const TICKS: f64 = 100.0;

/// Seconds of CPU of a process and its descendants, threads and waited-for children that have ended
/// included: to the nanosecond by the process's CPU clock (clock_getcpuclockid(3)), ended children to the tick.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    let mut total = 0.0;
    for member in family(pid) {
        match clock_seconds(member).zip(ended_children_seconds(member)) {
            Some((own, children)) => total += own + children,
            None if member == pid => return None,
            // It ended meanwhile: its parent has its time.
            None => {}
        }
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
    clock_seconds(std::process::id()).unwrap_or_default()
}

fn clock_seconds(pid: u32) -> Option<f64> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let now = ClockId::pid_cpu_clock_id(pid).ok()?.now().ok()?;
    Some(Duration::from(now).as_secs_f64())
}

fn ended_children_seconds(pid: u32) -> Option<f64> {
    let fields = stat(pid)?;
    let used: f64 = [13, 14]
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
    use std::time::Instant;

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

    /// stunnel has a thread for each connection, which takes its count in `/proc/<pid>/task` away with it.
    #[test]
    fn the_cpu_of_threads_that_have_ended_counts() {
        let before = own_cpu_seconds();
        let busy = || {
            let thread = clock_of_this_thread;
            let begun = thread();
            while thread() - begun < 0.02 {
                std::hint::spin_loop();
            }
        };
        std::thread::spawn(busy).join().unwrap();
        let used = own_cpu_seconds() - before;
        assert!(used >= 0.02, "{used}");
        assert!(cpu_seconds(std::process::id()).unwrap() >= before + 0.02);
    }

    fn clock_of_this_thread() -> f64 {
        let now = ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap();
        Duration::from(now).as_secs_f64()
    }

    #[test]
    fn a_process_that_is_not_there_has_no_figures() {
        assert_eq!(resident(u32::MAX - 1), None);
        assert_eq!(cpu_seconds(u32::MAX - 1), None);
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
