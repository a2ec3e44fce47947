//! The settings of the log: its format, and a level or filter that means what was written.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::alias;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::origin::Origin;
use super::settings::LogSettings;
use crate::redact::Shown;
use crate::suggest::{did_you_mean, suggest, suggest_or_alias};

/// The parts of this program that write log lines, and the access log.
const PARTS: [&str; 8] = [
    "hybridge::access",
    "hybridge::inject",
    "hybridge::listener",
    "hybridge::panics",
    "hybridge::proxy",
    "hybridge::run",
    "hybridge::tls",
    "hybridge::traces",
];

/// The libraries that write some.
const LIBRARIES: [&str; 5] = ["cryptoki", "h2", "mio", "notify", "rustls"];

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
    let is_level = |directive: &str| {
        LEVELS
            .iter()
            .any(|level| level.eq_ignore_ascii_case(directive))
    };
    let directives: Vec<&str> = text.split(',').map(str::trim).collect();
    let has_level = directives.iter().any(|directive| is_level(directive));
    for directive in directives.iter().copied() {
        if !is_level(directive) && !directive.contains('=') {
            return Err(refused(directive, directive));
        }
        if let Some((target, level)) = directive.rsplit_once('=') {
            // None at all would be `trace`.
            if level.is_empty() || level.parse::<LevelFilter>().is_err() {
                return Err(refused(text, level));
            }
            check_target(target.split('[').next().unwrap_or_default(), has_level, at)?;
        }
    }
    let trimmed = directives.join(",");
    match EnvFilter::builder().parse(&trimmed) {
        Ok(_) => Ok(trimmed),
        Err(_) => Err(refused(text, text.rsplit('=').next().unwrap_or_default())),
    }
}

/// A list is silent about what it does not name: with a misspelt target that may be the whole log. Beside a bare level nothing
/// of hybridge is silent, and the target of a library that writes no line here does no harm: filters are copied.
fn check_target(target: &str, has_level: bool, at: &Origin) -> Result<(), Error> {
    let known = || PARTS.iter().chain(&LIBRARIES).copied();
    // The filter compares beginnings.
    let is_below = |name: &str| {
        let rest = target.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with("::"))
    };
    if known().any(|name| name.starts_with(target) || is_below(name)) {
        return Ok(());
    }
    let is_other = has_level && !target.to_ascii_lowercase().starts_with("hybridge");
    let hint = match suggest(target, known().chain(["hybridge"])) {
        None if is_other => return Ok(()),
        None => format!(
            ": name hybridge, {} or {}",
            PARTS.join(", "),
            LIBRARIES.join(", ")
        ),
        nearest => did_you_mean(nearest),
    };
    Err(Error::Unusable {
        at: at.clone(),
        problem: format!("no log line has the target `{}`{hint}", Shown::from(target)),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn refusal(text: &str) -> String {
        log_level(text).unwrap_err().to_string()
    }

    #[test]
    fn a_target_that_no_line_has_is_refused_with_what_may_be_meant() {
        for (written, target, meant) in [
            ("hybrige=debug", "hybrige", "hybridge"),
            ("warn,Hybridge=debug", "Hybridge", "hybridge"),
            ("hybridge =debug", "hybridge ", "hybridge"),
            (
                "hybridge::proxi=debug,warn",
                "hybridge::proxi",
                "hybridge::proxy",
            ),
            (
                "hybridge:access=info,warn",
                "hybridge:access",
                "hybridge::access",
            ),
            ("hybridge=info,rustsl=debug", "rustsl", "rustls"),
        ] {
            let expected = format!(
                "--log-level: no log line has the target `{target}`: did you mean `{meant}`?"
            );
            assert_eq!(refusal(written), expected);
        }
        let unknown = refusal("hyper=debug");
        assert!(
            unknown.contains("`hyper`: name hybridge, hybridge::access, ")
                && unknown.ends_with(" or cryptoki, h2, mio, notify, rustls"),
            "{unknown}"
        );
    }

    #[test]
    fn targets_are_names_their_beginnings_and_what_is_below_them() {
        for filter in [
            "hybridge=debug",
            "warn,hybridge::access=info",
            "hybridge::acc=info",
            "hybridge::tls::reload=debug,h2::codec=trace,warn",
            "rustls=3,hybridge=info",
            "[conn]=debug,info",
            // Of other programs.
            "info,hyper=warn",
            "tokio=warn,info",
            "hybridge[conn{id=1}]=debug,info",
        ] {
            assert_eq!(log_level(filter).unwrap(), filter);
        }
        for ours in ["hybridge::census=debug,info", "hybridge_x=debug,info"] {
            assert!(refusal(ours).contains("no log line has the target"));
        }
        for no_level in ["hybridge=", "hybridge[{id=1}]", "hybridge=9"] {
            assert!(refusal(no_level).contains("is not a log level"));
        }
    }

    /// Each file of a part that names `tracing` to write a line.
    fn writers(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                writers(&path, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let names = |word: &str| text.contains(&format!("{word}("));
            let levels = [
                "error!",
                "warn!",
                "info!",
                "debug!",
                "trace!",
                "log_admitted!",
            ];
            if levels.into_iter().any(names) {
                let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
                let part = path.strip_prefix(source).unwrap().iter().next().unwrap();
                let part = part.to_str().unwrap().trim_end_matches(".rs");
                found.insert(format!("hybridge::{part}"));
            }
        }
    }

    #[test]
    fn every_part_and_library_that_writes_lines_is_named() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        writers(&root.join("src"), &mut found);
        let wiring = ["hybridge::log_limit", "hybridge::main"];
        let found: Vec<_> = found
            .iter()
            .map(String::as_str)
            .filter(|part| !wiring.contains(part))
            .collect();
        assert_eq!(found, PARTS[1..]);
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
        let writes = |package: &&str| {
            [" \"log\",", " \"tracing\","]
                .iter()
                .any(|name| package.contains(name))
        };
        let name = |package: &str| package.split('"').nth(1).unwrap_or_default().to_owned();
        let mut libraries: Vec<_> = lock.split("[[package]]").filter(writes).map(name).collect();
        // The program itself, what only tests use, and what carries the lines.
        libraries.retain(|name| {
            !["hybridge", "jiff-core"].contains(&name.as_str()) && !name.starts_with("tracing")
        });
        assert_eq!(libraries, LIBRARIES);
    }
}
