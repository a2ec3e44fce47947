//! The channel from the admin port to the lifecycle.

use tokio::sync::mpsc;

use crate::admin::AdminCommand;

/// Commands of the admin port.
pub(super) struct Commands(mpsc::Receiver<AdminCommand>);

impl Commands {
    pub(super) fn new() -> (Self, mpsc::Sender<AdminCommand>) {
        let (sender, receiver) = mpsc::channel(8);
        (Self(receiver), sender)
    }

    /// The receiver; leaves a closed channel behind.
    pub(super) fn take(&mut self) -> mpsc::Receiver<AdminCommand> {
        std::mem::replace(&mut self.0, mpsc::channel(1).1)
    }
}
