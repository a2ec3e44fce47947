//! The arrivals of an open load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};

use crate::error::{Error, Result};
use crate::net::timer::Timer;
use crate::plan::arrivals::{arrivals, span};

pub(super) type Due = Arc<Mutex<mpsc::UnboundedReceiver<Instant>>>;

/// The moments at which operations are due, handed out as they come.
pub(super) struct Schedule {
    pub(super) due: Due,
    /// When the operation after the last one would be due.
    pub(super) end: Instant,
}

impl Schedule {
    pub(super) fn start(start: Instant, time: Duration, per_second: f64) -> Result<Self> {
        let (announce, due) = mpsc::unbounded_channel();
        let mut timer = Timer::new().map_err(Error::system("timer for the arrival rate"))?;
        let count = arrivals(per_second, time);
        tokio::spawn(async move {
            for arrival in 0..count {
                let moment = start + Duration::from_secs_f64(f64::from(arrival) / per_second);
                // A timer that fails ends the schedule; what was not handed out is then missing from the count.
                if timer.sleep_until(moment).await.is_err() || announce.send(moment).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            due: Arc::new(Mutex::new(due)),
            end: start + span(per_second, time),
        })
    }

    /// Operations no session was left for.
    pub(super) async fn left(self) -> u64 {
        let mut due = self.due.lock().await;
        let mut left = 0;
        while due.recv().await.is_some() {
            left += 1;
        }
        left
    }
}
