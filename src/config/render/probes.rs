//! The table of probes.

use std::fmt;

use super::text::quoted;
use crate::probes::ProbeTable;
use crate::redact::{Secret, scrub};

/// The table, or what may be shown of it as a comment.
pub(super) fn write(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let table = ProbeTable::from_json(text).unwrap_or_default();
    let shown = table.shown();
    if shown == table && Secret::of(text).is_none() {
        writeln!(f, "probes = {}", quoted(text))
    } else {
        writeln!(f, "# probes: {}", scrub(&shown.to_json()))
    }
}
