//! What a service manager is told over `NOTIFY_SOCKET`, as sd_notify(3) has it: ready, draining. Without that
//! variable nothing happens.

use std::pin::pin;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::timeout;

use crate::counted::counted;

/// How long a start or a stop may go on from each message, and how often there is one.
const EXTENSION: Duration = Duration::from_mins(1);
pub(super) const REPEATED: Duration = Duration::from_secs(30);

/// Every address listens.
pub(super) fn ready(listeners: usize) {
    tell(&[NotifyState::Ready, NotifyState::Status(&count(listeners))]);
}

/// So many accept from now on.
pub(super) fn serving(listeners: usize) {
    tell(&[NotifyState::Status(&count(listeners))]);
}

fn count(listeners: usize) -> String {
    counted(listeners, "listener")
}

/// A drain begins: the service manager is not to end it before [`EXTENSION`] is over.
pub(super) fn stopping(open: usize) {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status(&format!("draining, {open} open")),
        extension(),
    ]);
}

/// Asks for more time, again and again, while `ending` goes on. The message has 32 bits of microseconds, 71
/// minutes, and a drain may take longer.
pub(super) async fn extended<T>(ending: impl Future<Output = T>) -> T {
    repeated(ending, extend).await
}

/// Asks for more time once.
pub(super) fn extend() {
    tell(&[extension()]);
}

async fn repeated<T>(ending: impl Future<Output = T>, mut ask: impl FnMut()) -> T {
    let mut ending = pin!(ending);
    loop {
        match timeout(REPEATED, &mut ending).await {
            Ok(ended) => return ended,
            Err(_) => ask(),
        }
    }
}

fn extension() -> NotifyState<'static> {
    let microseconds = EXTENSION.as_micros();
    NotifyState::ExtendTimeoutUsec(u32::try_from(microseconds).unwrap_or(u32::MAX))
}

/// `notify` does nothing without the variable.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told (NOTIFY_SOCKET)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn more_time_is_asked_for_until_the_drain_has_ended_however_long_it_is() {
        let (mut asked, day) = (0, Duration::from_hours(24));
        let ending = tokio::time::sleep(day + Duration::from_secs(1));
        repeated(ending, || asked += 1).await;
        assert_eq!(asked, day.as_secs() / REPEATED.as_secs());
        assert!(EXTENSION >= 2 * REPEATED, "one message may be lost");
        let extension = extension();
        assert!(matches!(
            extension,
            NotifyState::ExtendTimeoutUsec(60_000_000)
        ));
    }
}
