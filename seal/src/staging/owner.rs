//! A new file that takes the place of an old one belongs to whom that belonged, and is as readable.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

/// Who may read the old file may read the new one, within the mode `most`: the owner and the group first, while
/// only the owner may read it, then the mode.
pub fn hand_over(new: &File, old: &Metadata, most: u32) -> io::Result<()> {
    let mode = old.mode() & most;
    give(new, old, mode)?;
    new.set_permissions(Permissions::from_mode(mode))?;
    new.sync_all()
}

/// Owner and group of the old file for a new one that will have this mode. An owner need not be in a group that
/// decides nothing.
pub(super) fn give(new: &File, old: &Metadata, mode: u32) -> io::Result<()> {
    let own = new.metadata()?;
    let (uid, gid) = (old.uid(), old.gid());
    let same_owner = own.uid() == uid;
    if same_owner && own.gid() == gid {
        return Ok(());
    }
    match fchown(new, Some(uid), Some(gid)) {
        Err(_) if same_owner && is_group_as_others(mode) => Ok(()),
        Err(cause) if same_owner => Err(io::Error::other(format!(
            "it belongs to group {gid}, which a new file cannot be given ({cause}): run as a member of that group or as root"
        ))),
        Err(cause) => Err(io::Error::other(format!(
            "it belongs to user {uid} and group {gid}, which a new file cannot be given ({cause}): run as its owner or as root"
        ))),
        Ok(()) => Ok(()),
    }
}

/// Whether the group may do what all others may: whichever it is, nobody gains or loses.
fn is_group_as_others(mode: u32) -> bool {
    mode >> 3 & 0o7 == mode & 0o7
}
