//! A moment as people and other programs read it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// By RFC 3339, in UTC, of seconds since 1970.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = at.and_then(|at| at.format(&Rfc3339).ok());
    text.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}
