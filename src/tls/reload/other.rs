//! Files that other parts of the program read, kept up to date with those of TLS.

use std::path::PathBuf;
use std::sync::Arc;

use crate::tls::standing::StandingFailure;

/// Something in use that was read from files.
pub trait Reread: Send + Sync {
    /// The setting that names them.
    fn setting(&self) -> &'static str;

    /// The files.
    fn files(&self) -> Vec<PathBuf>;

    /// Reads and checks them, and uses what they hold; whether it is something else.
    fn reread(&self) -> Result<bool, String>;

    /// The names of what is in use, none of them secret.
    fn in_use(&self) -> Vec<String>;

    /// What is worth a warning of it.
    fn warnings(&self) -> Vec<String>;
}

/// Such a thing, and the failure that stands.
pub struct OtherFiles {
    pub(super) read: Box<dyn Reread>,
    pub(super) failure: StandingFailure,
}

impl OtherFiles {
    /// To be kept up to date.
    pub fn new(read: impl Reread + 'static) -> Self {
        Self {
            read: Box::new(read),
            failure: StandingFailure::default(),
        }
    }

    /// What is kept up to date.
    pub fn read(&self) -> &dyn Reread {
        &*self.read
    }

    /// The failure that stands since the last good look, if any.
    pub fn last_error(&self) -> Option<Arc<String>> {
        self.failure.get()
    }
}
