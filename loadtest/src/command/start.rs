//! `--start-at`: the moment of the first block, so that shards run together.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::terminal::say;
use crate::error::{Error, Result};

/// A start further ahead is a mistake, such as milliseconds for seconds.
const FARTHEST: Duration = Duration::from_hours(24);

/// How long until that Unix time; zero where it has passed.
pub(super) fn until(start_at: Option<u64>) -> Result<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    ahead(start_at, now.unwrap_or_default())
}

fn ahead(start_at: Option<u64>, now: Duration) -> Result<Duration> {
    let Some(start) = start_at else {
        return Ok(Duration::ZERO);
    };
    let ahead = Duration::from_secs(start).saturating_sub(now);
    if ahead > FARTHEST {
        return Err(Error::Usage(format!(
            "--start-at {start} is more than a day ahead; write seconds since 1970, such as {}",
            now.as_secs() + 60
        )));
    }
    Ok(ahead)
}

/// Waits for it, and says how long; or that it has passed.
pub(super) async fn wait_for(start_at: Option<u64>) -> Result<()> {
    let ahead = until(start_at)?;
    if !ahead.is_zero() {
        say(&format!(
            "waiting {:.0} s for --start-at; Ctrl-C ends it",
            ahead.as_secs_f64().ceil()
        ));
        tokio::time::sleep(ahead).await;
    } else if let Some(start) = start_at {
        say(&format!(
            "--start-at {start} has passed: beginning at once; generators that are to begin together need a moment to come"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_start_is_at_most_a_day_ahead() {
        let now = Duration::from_hours(500_000);
        let ahead = |start| ahead(start, now);
        assert_eq!(ahead(None).unwrap(), Duration::ZERO);
        assert_eq!(ahead(Some(0)).unwrap(), Duration::ZERO);
        assert_eq!(ahead(Some(1_800_000_090)).unwrap(), Duration::from_secs(90));
        for far in [1_800_086_401, 1_800_000_000_000, u64::MAX] {
            let refused = ahead(Some(far)).unwrap_err().to_string();
            assert!(refused.contains("such as 1800000060"), "{refused}");
        }
    }
}
