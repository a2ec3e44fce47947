//! Lines of the log that nobody took. The log belongs to the process and is there before any registry: so does its count.

use std::sync::LazyLock;

use prometheus::{IntCounter, Registry};

use super::families::named;

/// None is a programming mistake: the name is no name of a metric.
static LOST: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    let help = "Lines of the log that were lost: its reader took nothing and its buffer was full.";
    IntCounter::with_opts(named("log_lines_lost_total", help)).ok()
});

pub(super) fn register(registry: &Registry) -> Result<(), prometheus::Error> {
    let lost = LOST.clone().ok_or_else(|| {
        prometheus::Error::Msg("log_lines_lost_total cannot be registered".to_owned())
    })?;
    registry.register(Box::new(lost))
}

/// Counts a line that was lost.
pub fn log_line_lost() {
    if let Some(lost) = LOST.as_ref() {
        lost.inc();
    }
}
