//! What is said of a file of ticket keys that others may read or write.

use std::path::Path;

use super::error::TicketKeyError;
use crate::redact::Shown;
use crate::secret_file::{Exposure, exposure};

/// A warning about who else may read, or write as its group; that everybody may write is an error.
pub(super) fn check(path: &Path) -> Result<Option<String>, TicketKeyError> {
    let (who, what, mode) = match exposure(path) {
        None => return Ok(None),
        Some(Exposure::Writable(mode)) => {
            return Err(TicketKeyError::Writable {
                path: path.into(),
                mode,
            });
        }
        Some(Exposure::WritableByGroup(mode)) => ("written by its group", "plant a key", mode),
        Some(Exposure::Readable(mode)) => ("read by everybody", "resume any session", mode),
    };
    let path = Shown::path(path);
    Ok(Some(format!(
        "ticket-keys: {path} may be {who} (mode {mode:04o}), who could {what}: chmod 600"
    )))
}
