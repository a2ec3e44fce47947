//! The settings of the log: its format, and a level or filter that means what was written.

use tracing_subscriber::EnvFilter;

use super::alias;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::origin::Origin;
use super::settings::LogSettings;
use crate::suggest::suggest_or_alias;

pub(super) fn resolve(layer: &Layer) -> Result<LogSettings, Error> {
    let level = layer.text(Key::LogLevel)?;
    Ok(LogSettings {
        format: layer.choice(Key::LogFormat)?,
        level: check_level(&level, &layer.place(Key::LogLevel))?,
    })
}

/// A log level as the filter reads it, for a command with a flag of its own.
pub fn log_level(text: &str) -> Result<String, Error> {
    check_level(text, &Origin::flag_of(Key::LogLevel))
}

/// The filter's own parser takes any bare word for a target, so a misspelt level would log everything. Behind a comma it
/// takes a space for a part of a name; here none counts.
fn check_level(text: &str, at: &Origin) -> Result<String, Error> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let aliases = alias::of_values(Key::LogLevel);
    let refused = |written: &str, level: &str| Error::LogLevel {
        at: at.clone(),
        written: written.into(),
        nearest: suggest_or_alias(level, LEVELS, aliases),
    };
    for directive in text.split(',').map(str::trim) {
        let is_level = LEVELS
            .iter()
            .any(|level| level.eq_ignore_ascii_case(directive));
        if !is_level && !directive.contains('=') {
            return Err(refused(directive, directive));
        }
    }
    let trimmed: Vec<&str> = text.split(',').map(str::trim).collect();
    let trimmed = trimmed.join(",");
    match EnvFilter::builder().parse(&trimmed) {
        Ok(_) => Ok(trimmed),
        Err(_) => Err(refused(text, text.rsplit('=').next().unwrap_or_default())),
    }
}
