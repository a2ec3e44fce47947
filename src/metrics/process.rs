//! The standard `process_*` set, read when scraped. CPU time in nanosecond resolution: the load
//! tests divide it by operations, so whole seconds or clock ticks would not do.

use std::fs;
use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts, Registry};
use rustix::time::{ClockId, clock_gettime};

/// Registers the set without the product's prefix.
pub(super) fn register(registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(Process::new()?))
}

/// One handle an item.
struct Process {
    cpu_seconds: Counter,
    /// Reading and collecting are one step, also for two scrapes at once.
    scrape: Mutex<()>,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    start_time: Gauge,
}

impl Process {
    fn new() -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| Gauge::with_opts(Opts::new(name, help));
        let process = Self {
            cpu_seconds: Counter::new(
                "process_cpu_seconds_total",
                "User and system CPU time spent in seconds.",
            )?,
            scrape: Mutex::new(()),
            resident_bytes: gauge(
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
            )?,
            virtual_bytes: gauge(
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
            )?,
            open_fds: gauge("process_open_fds", "Number of open file descriptors.")?,
            max_fds: gauge(
                "process_max_fds",
                "Maximum number of open file descriptors.",
            )?,
            threads: gauge("process_threads", "Number of OS threads in the process.")?,
            start_time: gauge(
                "process_start_time_seconds",
                "Start time of the process since the Unix epoch in seconds.",
            )?,
        };
        process.start_time.set(start_time().unwrap_or_default());
        Ok(process)
    }

    fn gauges(&self) -> [&Gauge; 6] {
        [
            &self.resident_bytes,
            &self.virtual_bytes,
            &self.open_fds,
            &self.max_fds,
            &self.threads,
            &self.start_time,
        ]
    }

    fn read(&self) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        self.cpu_seconds.reset();
        self.cpu_seconds
            .inc_by(cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9);
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let kib = |key| status_field(&status, key).map(|kib| kib * 1024.0);
            self.resident_bytes.set(kib("VmRSS:").unwrap_or_default());
            self.virtual_bytes.set(kib("VmSize:").unwrap_or_default());
            self.threads
                .set(status_field(&status, "Threads:").unwrap_or_default());
        }
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            self.open_fds.set(fds.count() as f64);
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        self.max_fds
            .set(limit.current.map_or(f64::INFINITY, |max| max as f64));
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges().into_iter().flat_map(|gauge| gauge.desc());
        self.cpu_seconds.desc().into_iter().chain(gauges).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.read();
        let gauges = self.gauges().into_iter().flat_map(Collector::collect);
        self.cpu_seconds
            .collect()
            .into_iter()
            .chain(gauges)
            .collect()
    }
}

fn status_field(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(key))?;
    line[key.len()..].split_whitespace().next()?.parse().ok()
}

/// Field 22 of /proc/self/stat, in clock ticks since boot (proc_pid_stat(5)), as Unix time.
fn start_time() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks: f64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let boot = fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = status_field(&boot, "btime")?;
    Some(boot + ticks / rustix::param::clock_ticks_per_second() as f64)
}
