//! The configuration while it is read: once at a time, and not for ever. What is read may be a file system that
//! has stopped to answer; the thread that waits for it cannot be told to give up.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::reload::{FAULT, Read, Reading};
use super::sidecar::Sidecar;

/// For a configuration and every file that it names.
const PATIENCE: Duration = Duration::from_secs(15);
/// Readings that were given up and still hold a thread.
const MOST_STUCK: usize = 8;

/// What is being read.
#[derive(Default)]
pub(super) struct Readings {
    current: Option<(Reading, Instant)>,
    /// Asked for meanwhile: what is being read may be what the file held before.
    again: bool,
    stuck: Vec<Reading>,
}

impl Readings {
    /// Somebody asks for a reading.
    pub(super) fn ask(&mut self, sidecar: &Sidecar) {
        if self.current.is_some() {
            tracing::warn!("the configuration is still being read, and is read again afterwards");
            self.again = true;
            return;
        }
        self.stuck.retain(|reading| !reading.is_finished());
        let reading = if self.stuck.len() < MOST_STUCK {
            sidecar.read_again()
        } else {
            Some(tokio::spawn(async { Err(all_stuck()) }))
        };
        self.current = reading.map(|reading| (reading, Instant::now() + PATIENCE));
    }

    /// What came of it; pending while nothing is read.
    pub(super) async fn done(&mut self) -> Result<Read, String> {
        let Some((reading, by)) = &mut self.current else {
            return std::future::pending().await;
        };
        let read = timeout_at(*by, reading).await;
        let reading = self.current.take();
        if let Ok(read) = read {
            return read.unwrap_or_else(|_| Err(FAULT.to_owned()));
        }
        self.stuck.extend(reading.map(|(reading, _)| reading));
        Err(too_slow())
    }

    /// Whether it was asked for while the last one was read.
    pub(super) fn asked_again(&mut self) -> bool {
        std::mem::take(&mut self.again)
    }
}

fn too_slow() -> String {
    format!(
        "it and the files that it names could not be read within {} s: look at the file systems that they are on, and send SIGHUP again",
        PATIENCE.as_secs()
    )
}

fn all_stuck() -> String {
    format!(
        "{MOST_STUCK} readings before have not ended: a file system does not answer, restart the process"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use crate::metrics::Metrics;
    use crate::run::reload::begun;

    #[tokio::test]
    async fn a_reading_that_panics_has_failed_and_is_counted() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let mut readings = Readings::default();
        let panicking = begun(&metrics, || panic!("as asked"));
        readings.current = Some((panicking, Instant::now() + PATIENCE));
        let read = readings.done().await;
        assert!(read.is_err_and(|error| error == FAULT));
        let page = String::from_utf8(metrics.render().unwrap()).unwrap();
        let line = "\nhybridge_panics_total{task=\"reload\"} 1\n";
        assert!(page.contains(line), "{page}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reading_that_does_not_end_has_failed_and_makes_room() {
        let mut readings = Readings::default();
        let began = Instant::now();
        for stuck in 1..=2 {
            let never = tokio::spawn(std::future::pending());
            readings.current = Some((never, Instant::now() + PATIENCE));
            let read = readings.done().await;
            assert!(read.is_err_and(|error| error == too_slow()));
            assert!(readings.current.is_none() && readings.stuck.len() == stuck);
            assert_eq!(began.elapsed().as_secs(), 15 * stuck as u64);
        }
        let failed = tokio::spawn(async { Err("why".to_owned()) });
        readings.current = Some((failed, Instant::now() + PATIENCE));
        assert!(readings.done().await.is_err_and(|error| error == "why"));
    }
}
