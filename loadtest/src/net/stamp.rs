//! When a token was written, told in its event: on one machine writer and reader have the same clock
//! (CLOCK_MONOTONIC, clock_gettime(2)), and what lies between is what the way cost.

use std::sync::LazyLock;

use rustix::time::{ClockId, clock_gettime};

/// Names the running kernel, whose clock it is.
static BOOT: LazyLock<Option<String>> = LazyLock::new(|| {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    id.get(..8).map(str::to_owned)
});

/// The clock, nanoseconds.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec.cast_unsigned() * 1_000_000_000) + now.tv_nsec.cast_unsigned()
}

/// That moment of the calendar (CLOCK_REALTIME), seconds and nanoseconds, on the clock of [`now`]: as far from now on
/// the one as on the other, which holds for a moment just past.
pub fn of_calendar(seconds: i64, nanoseconds: i64) -> u64 {
    let calendar = clock_gettime(ClockId::Realtime);
    let past = (calendar.tv_sec - seconds) * 1_000_000_000 + (calendar.tv_nsec - nanoseconds);
    now().saturating_sub_signed(past)
}

/// This moment, as an event id; empty where the kernel does not say who it is.
pub fn stamp() -> String {
    let boot = BOOT.as_ref();
    boot.map_or_else(String::new, |boot| format!("{boot}-{}", now()))
}

/// The moment of a stamp; none if it is of another machine, or no stamp.
pub fn read(stamp: &str) -> Option<u64> {
    let (boot, moment) = stamp.split_once('-')?;
    if Some(boot) == BOOT.as_deref() {
        moment.parse().ok()
    } else {
        None
    }
}

/// True of a stamp of any machine.
pub fn is_stamp(text: &str) -> bool {
    text.split_once('-').is_some_and(|(boot, moment)| {
        boot.len() == 8
            && boot.bytes().all(|byte| byte.is_ascii_hexdigit())
            && moment.parse::<u64>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_where_it_was_written_and_nowhere_else() {
        let before = now();
        let stamp = stamp();
        let read_back = read(&stamp);
        assert!(read_back.is_some_and(|moment| (before..=now()).contains(&moment)));
        let elsewhere = format!("00000000{}", &stamp[8..]);
        assert_eq!(read(&elsewhere), None);
        assert!(is_stamp(&elsewhere) && !is_stamp("17") && !is_stamp("chatcmpl-1234"));
        assert_eq!(read("17"), None);
    }
}
