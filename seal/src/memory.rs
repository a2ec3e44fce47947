//! Whether the result fits, before anything is written: free space, and the memory of the cgroup where
//! the file system is memory. And whether it is memory at all.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statfs, statvfs};

use crate::error::{Error, failed};
use crate::shown::{Shown, size};

const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;
/// Bytes beside the result that this process takes.
const OWN: u64 = 32 << 20;

/// Refuses a directory that is not kept in memory only.
pub fn require_memory(directory: &Path) -> Result<(), Error> {
    let system = statfs(directory).map_err(|e| failed("examine", directory)(e.into()))?;
    let shown = Shown::from(directory);
    if !is_memory(system.f_type as u64) {
        return Err(Error::Refused(format!(
            "--require-memory: {shown} is on a disk (file system {:#x}), so plaintext would be written to it: use a tmpfs (`medium: Memory`, /dev/shm)",
            system.f_type
        )));
    }
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let device = fs::metadata(directory)
        .map_err(failed("examine", directory))?
        .dev();
    if system.f_type as u64 == TMPFS && swaps.lines().count() > 1 && !no_swap(&mounts, device) {
        return Err(Error::Refused(format!(
            "--require-memory: {shown} is a tmpfs, but this machine swaps, so plaintext may reach its disk: mount it with `noswap` (Linux 6.4 or newer) or turn swap off"
        )));
    }
    Ok(())
}

/// Whether the file is on a tmpfs that this process cannot write: the volume of a Kubernetes Secret.
pub fn is_read_only_memory(file: &Path) -> bool {
    let kind = statfs(file).map(|system| is_memory(system.f_type as u64));
    let flags = statvfs(file).map(|system| system.f_flag.contains(StatVfsMountFlags::RDONLY));
    kind.unwrap_or(false) && flags.unwrap_or(false)
}

fn is_memory(kind: u64) -> bool {
    [TMPFS, RAMFS].contains(&(kind & 0xffff_ffff))
}

/// Whether the mount of this device has `noswap` among the options of its file system.
fn no_swap(mounts: &str, device: u64) -> bool {
    let major_minor = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let lines = mounts
        .lines()
        .filter(|line| line.split(' ').nth(2) == Some(&major_minor));
    let mut options = lines.filter_map(|line| line.rsplit(' ').next());
    options.any(|options| options.split(',').any(|option| option == "noswap"))
}

/// Refuses a result of so many bytes in a directory that cannot hold it.
pub fn require_room(directory: &Path, bytes: u64) -> Result<(), Error> {
    let system = statvfs(directory).map_err(|e| failed("examine", directory)(e.into()))?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let shown = Shown::from(directory);
    // A tmpfs with size 0 has no bound of its own.
    if system.f_blocks > 0 && bytes > free {
        return Err(Error::Refused(format!(
            "{shown}: {} are needed and {} are free: make room, or raise `sizeLimit` of the volume",
            size(bytes),
            size(free)
        )));
    }
    let kind = statfs(directory).map_err(|e| failed("examine", directory)(e.into()))?;
    if !is_memory(kind.f_type as u64) {
        return Ok(());
    }
    match left(Path::new("/")) {
        Some((left, limit)) if bytes + OWN > left => Err(Error::Refused(format!(
            "{shown} is memory: {} are needed with {} for this process, {} are left of the limit of {}: raise `resources.limits.memory` of this container",
            size(bytes + OWN),
            size(OWN),
            size(left),
            size(limit)
        ))),
        _ => Ok(()),
    }
}

/// What the cgroup and those above it leave, at the tightest, with its limit.
fn left(root: &Path) -> Option<(u64, u64)> {
    let own = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let base = root.join("sys/fs/cgroup");
    let groups = own.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let path = path.trim_start_matches('/');
        if controllers.is_empty() {
            return Some((
                base.clone(),
                base.join(path),
                ["memory.max", "memory.current"],
            ));
        }
        let names = ["memory.limit_in_bytes", "memory.usage_in_bytes"];
        let memory = controllers.split(',').any(|name| name == "memory");
        memory.then(|| (base.join("memory"), base.join("memory").join(path), names))
    });
    let each = groups.flat_map(|(top, group, names)| {
        // A container sees its own group at the top whatever the path says.
        let above = group
            .ancestors()
            .map(Path::to_owned)
            .collect::<Vec<PathBuf>>();
        let within = above
            .into_iter()
            .filter(move |group| group.starts_with(&top));
        within.filter_map(move |group| of_group(&group, names))
    });
    each.min()
}

/// Pages of files that can be dropped do not count.
fn of_group(group: &Path, [limit, usage]: [&str; 2]) -> Option<(u64, u64)> {
    let number = |name: &str| {
        fs::read_to_string(group.join(name))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    let limit = number(limit).filter(|limit| *limit < 1 << 60)?;
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let field = |name: &str| {
        let line = stat
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0)
    };
    let droppable = field("inactive_file") + field("active_file");
    let used = number(usage).unwrap_or(0).saturating_sub(droppable);
    Some((limit.saturating_sub(used), limit))
}

/// Threads that the machine and the cgroup's CPU limit allow.
pub fn threads(given: Option<u16>) -> usize {
    let allowed = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    given.map_or_else(allowed, usize::from).clamp(1, 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_group_counts_without_what_can_be_dropped() {
        let root = tempfile::tempdir().unwrap();
        let group = root.path().join("sys/fs/cgroup/pod/app");
        fs::create_dir_all(&group).unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        let write = |path: &Path, text: &str| fs::write(path, text).unwrap();
        write(&root.path().join("proc/self/cgroup"), "0::/pod/app\n");
        assert_eq!(left(root.path()), None);
        write(&group.join("memory.max"), "max\n");
        let pod = group.parent().unwrap();
        write(&pod.join("memory.max"), "1000\n");
        write(&pod.join("memory.current"), "700\n");
        assert_eq!(left(root.path()), Some((300, 1000)));
        write(
            &pod.join("memory.stat"),
            "anon 1\ninactive_file 200\nactive_file 50\n",
        );
        assert_eq!(left(root.path()), Some((550, 1000)));
        write(&group.join("memory.max"), "400\n");
        assert_eq!(left(root.path()), Some((400, 400)));
    }

    #[test]
    fn noswap_is_read_from_the_options_of_the_file_system() {
        let device = rustix::fs::makedev(0, 25);
        let line = "36 35 0:25 / /m rw,nosuid shared:1 - tmpfs tmpfs rw,size=1k,noswap";
        assert!(no_swap(line, device));
        assert!(!no_swap(&line.replace(",noswap", ""), device));
        assert!(!no_swap(line, rustix::fs::makedev(0, 26)));
    }

    #[test]
    fn too_little_room_is_told_with_numbers() {
        let root = tempfile::tempdir().unwrap();
        let error = require_room(root.path(), 1 << 60).unwrap_err().to_string();
        assert!(error.contains("1073741824.0 GiB are needed"), "{error}");
        require_room(root.path(), 0).unwrap();
    }
}
