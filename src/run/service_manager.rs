//! What a service manager is told over `NOTIFY_SOCKET`, as sd_notify(3) has it: ready, draining. Without that
//! variable nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::counted::counted;

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

/// A drain begins that may take so long: the service manager is not to end it before.
pub(super) fn stopping(open: usize, longest: Duration) {
    let microseconds = u32::try_from(longest.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status(&format!("draining, {open} open")),
        NotifyState::ExtendTimeoutUsec(microseconds),
    ]);
}

/// `notify` does nothing without the variable.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told (NOTIFY_SOCKET)");
    }
}
