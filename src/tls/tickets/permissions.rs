//! Who else may read or write a file of ticket keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::TicketKeyError;
use crate::redact::Shown;
use crate::tls::credentials::volume_root;

/// A warning about who else may read; who else may write is an error. Kubernetes decides the mode in a
/// volume, which only the pod sees.
pub(super) fn check(path: &Path) -> Result<Option<String>, TicketKeyError> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(None);
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(TicketKeyError::Writable {
            path: path.into(),
            mode,
        });
    }
    let shared = mode & 0o004 != 0 && volume_root(path, path).is_none();
    Ok(shared.then(|| {
        let path = Shown::path(path);
        format!("ticket-keys: {path} may be read by everybody (mode {mode:04o}), who could resume any session: chmod 600")
    }))
}
