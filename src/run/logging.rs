//! Where log lines go: standard error, as text or JSON; panics too.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Starts logging for the whole process; a second call changes nothing.
pub fn init(settings: &LogSettings) {
    // A bare level is about this product; what its libraries say is asked for by name.
    let directives = if settings.level.contains(['=', ',']) {
        settings.level.clone()
    } else {
        format!("warn,hybridge={}", settings.level)
    };
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr);
    crate::panics::log_them();
    let _ = match settings.format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
