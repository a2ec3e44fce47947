//! The window that a client has for the uploads of one connection, and what they hold of it.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Shared by the streams of a connection.
pub(crate) struct UploadWindow {
    size: AtomicUsize,
    /// Bytes that came since it was last made wider.
    recent: AtomicUsize,
    /// Bytes that came and are not given back.
    held: AtomicUsize,
}

impl UploadWindow {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size: AtomicUsize::new(size as usize),
            recent: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        }
    }

    /// Part of an upload came.
    pub(super) fn came(&self, bytes: usize) {
        self.recent.fetch_add(bytes, Ordering::Relaxed);
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Their window is given back to the client.
    pub(super) fn released(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether so many bytes have come since this was last so.
    pub(crate) fn has_received(&self, bytes: usize) -> bool {
        let has = self.recent.load(Ordering::Relaxed) >= bytes;
        if has {
            self.recent.store(0, Ordering::Relaxed);
        }
        has
    }

    pub(crate) fn widened(&self, size: u32) {
        self.size.store(size as usize, Ordering::Relaxed);
    }

    /// Whether the client may be unable to send, on whatever stream: the h2 crate keeps up to half of a window to
    /// itself, and gives it back in one piece.
    pub(super) fn may_be_shut(&self) -> bool {
        let size = self.size.load(Ordering::Relaxed);
        self.held.load(Ordering::Relaxed) >= size / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_shuts_it_until_it_is_given_back_or_made_wider() {
        let window = UploadWindow::new(1000);
        window.came(499);
        assert!(!window.may_be_shut() && !window.has_received(500));
        window.came(1);
        assert!(window.may_be_shut() && window.has_received(500));
        assert!(!window.has_received(1));
        window.released(1);
        assert!(!window.may_be_shut());
        window.came(300);
        window.widened(2000);
        assert!(!window.may_be_shut());
    }
}
