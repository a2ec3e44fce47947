//! The phases of a shutdown, in their order.

use strum::IntoStaticStr;

/// Where a shutdown stands. Its text is the name on the status page.
#[derive(Clone, Copy, Debug, Default, Eq, IntoStaticStr, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// Serving.
    #[default]
    #[strum(serialize = "running")]
    Running,
    /// Serving, but no longer ready.
    #[strum(serialize = "lame")]
    LameDuck,
    /// Nothing new; open work may end.
    #[strum(serialize = "draining")]
    Draining,
    /// Open work is aborted.
    #[strum(serialize = "cut")]
    Aborting,
}
