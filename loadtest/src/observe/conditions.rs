//! Readings of the machine at one moment, and what lies between two of them: load, pressure, steal, the time other
//! processes used, frequency and thermal throttling (proc(5), docs.kernel.org/accounting/psi.html).

use std::fs;
use std::time::Instant;

use super::process;
use crate::results::conditions::Conditions;

/// Kernel ticks per second as seen by user space.
const TICKS: f64 = 100.0;

/// Counters of one moment; what the kernel does not keep is none.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Instant,
    /// Microseconds in which some task waited.
    waited: Option<f64>,
    /// Ticks of all cores: busy, stolen, all.
    ticks: Option<[f64; 3]>,
    throttled: Option<u64>,
    /// CPU seconds of the processes of the run; none where one is not known.
    own: Option<f64>,
}

impl Reading {
    /// `processes` are those of the run besides this one; none where a server's is not known.
    pub fn take(processes: Option<&[u32]>) -> Self {
        let own = processes.and_then(|processes| {
            let of_servers: Option<Vec<f64>> = processes
                .iter()
                .map(|pid| process::cpu_seconds(*pid))
                .collect();
            Some(of_servers?.iter().sum::<f64>() + process::own_cpu_seconds())
        });
        Self {
            at: Instant::now(),
            waited: waited(&read("/proc/pressure/cpu")),
            ticks: ticks(&read("/proc/stat")),
            throttled: throttled(),
            own,
        }
    }

    /// What happened since `before`.
    pub fn since(&self, before: &Self, pair: u32) -> Conditions {
        let time = (self.at - before.at).as_secs_f64().max(1e-6);
        let passed = |now: Option<f64>, then: Option<f64>| Some(now? - then?);
        let ticks = self.ticks.zip(before.ticks).map(|(now, then)| {
            [
                now[0] - then[0],
                now[1] - then[1],
                (now[2] - then[2]).max(1.0),
            ]
        });
        let own = passed(self.own, before.own).map(|seconds| seconds * TICKS);
        Conditions {
            pair,
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
            pressure: passed(self.waited, before.waited)
                .map(|waited| (waited / 1e6 / time * 100.0).min(100.0)),
            steal: ticks.map(|[_, stolen, all]| stolen / all * 100.0),
            others: ticks
                .zip(own)
                .map(|([busy, _, all], own)| ((busy - own) / all * 100.0).max(0.0)),
            mhz: mhz(&read("/proc/cpuinfo")),
            throttled: self
                .throttled
                .zip(before.throttled)
                .map(|(now, then)| now.saturating_sub(then)),
            ceiling: None,
            best: None,
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn waited(pressure: &str) -> Option<f64> {
    let line = pressure.lines().find(|line| line.starts_with("some"))?;
    line.rsplit_once("total=")?.1.trim().parse().ok()
}

/// user, nice, system, idle, iowait, irq, softirq, steal; guests are in user and nice.
fn ticks(stat: &str) -> Option<[f64; 3]> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<f64> = line
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .take(8)
        .collect();
    let &[user, nice, system, idle, iowait, irq, softirq, steal] = fields.as_slice() else {
        return None;
    };
    let busy = user + nice + system + irq + softirq;
    Some([busy, steal, busy + steal + idle + iowait])
}

fn mhz(info: &str) -> Option<f64> {
    let values = info
        .lines()
        .filter(|line| line.starts_with("cpu MHz"))
        .filter_map(|line| line.split_once(':')?.1.trim().parse::<f64>().ok());
    values.reduce(f64::max)
}

/// Events of all cores; none where the machine does not tell, as virtual ones do not.
fn throttled() -> Option<u64> {
    let cores = fs::read_dir("/sys/devices/system/cpu").ok()?;
    let counts = cores.filter_map(|core| {
        let path = core
            .ok()?
            .path()
            .join("thermal_throttle/core_throttle_count");
        fs::read_to_string(path).ok()?.trim().parse::<u64>().ok()
    });
    counts.reduce(|a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_kernels_lines_are_read() {
        let pressure = "some avg10=26.54 avg60=19.46 avg300=11.47 total=67925552\nfull avg10=0 avg60=0 avg300=0 total=0\n";
        assert_eq!(waited(pressure), Some(67_925_552.0));
        let stat = "cpu  100 20 30 400 50 6 7 8 9 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n";
        assert_eq!(ticks(stat), Some([163.0, 8.0, 621.0]));
        assert_eq!(
            mhz("cpu MHz\t\t: 2445.4\ncpu MHz\t\t: 2600\n"),
            Some(2600.0)
        );
        assert_eq!((waited(""), ticks(""), mhz("")), (None, None, None));
    }

    #[test]
    fn the_time_of_the_run_itself_is_not_that_of_others() {
        let before = Reading::take(Some(&[]));
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(120) {
            std::hint::spin_loop();
        }
        let round = Reading::take(Some(&[])).since(&before, 3);
        assert_eq!(round.pair, 3);
        assert!(
            round
                .others
                .is_none_or(|share| (0.0..=100.0).contains(&share))
        );
        let unknown = Reading::take(None).since(&before, 0);
        assert_eq!(unknown.others, None);
    }
}
