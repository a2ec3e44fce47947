//! How many threads a limited address space has room for (`ulimit -v`). Stacks take what is left of it, and then an
//! allocation fails, which ends the process.

use std::fs;

/// What the allocators map for a thread at once, and its stack: measured 66 MiB, and up to 100 while they align it.
const THREAD: u64 = 100 << 20;
/// For everything else.
const REST: u64 = 64 << 20;

/// A limit, and the threads that fit.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct AddressSpace {
    pub(crate) limit_mib: u64,
    pub(crate) threads: usize,
}

/// That of this process; none where there is no limit.
pub(crate) fn of_process() -> Option<AddressSpace> {
    let read = |name| fs::read_to_string(format!("/proc/self/{name}")).ok();
    of(&read("limits")?, &read("status")?)
}

fn of(limits: &str, status: &str) -> Option<AddressSpace> {
    let first = |text: &str, name: &str| -> Option<u64> {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_whitespace().next()?.parse().ok()
    };
    // A word, `unlimited`, is no number.
    let limit = first(limits, "Max address space")?;
    let used = first(status, "VmSize:")?.saturating_mul(1024);
    let left = limit.saturating_sub(used).saturating_sub(REST);
    Some(AddressSpace {
        limit_mib: limit >> 20,
        threads: usize::try_from(left / THREAD).unwrap_or(usize::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_fit_into_what_is_left_of_a_limit() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max cpu time              unlimited            unlimited            seconds   \n\
                 Max address space         {soft:<20} unlimited            bytes     \n"
            )
        };
        let status = "Name:\thybridge\nVmPeak:\t  900000 kB\nVmSize:\t   71680 kB\n";
        let threads = |soft| of(&limits(soft), status).map(|space| space.threads);
        assert_eq!(threads("unlimited"), None);
        assert_eq!(threads("614400000"), Some(4));
        assert_eq!(threads("100000000"), Some(0));
        assert_eq!(of("", ""), None);
        let known = of(&limits("614400000"), status).map(|space| space.limit_mib);
        assert_eq!(known, Some(585));
    }
}
