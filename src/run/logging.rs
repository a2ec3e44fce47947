//! Where log lines go: standard error, as text or JSON; panics too. `line` knows what a line looks like.

mod line;

use tracing_subscriber::EnvFilter;

use self::line::Lines;
use crate::config::LogSettings;

/// Starts logging for the whole process; a second call changes nothing.
pub fn init(settings: &LogSettings) {
    // A bare level is about this product; what its libraries say is asked for by name.
    let directives = if settings.level.contains(['=', ',']) {
        settings.level.clone()
    } else {
        format!("warn,hybridge={}", settings.level)
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .event_format(Lines::new(settings.format))
        .try_init();
    crate::panics::log_them();
}
