//! Where log lines go: standard error, as text or JSON; panics too. `line` knows what a line looks like.

mod line;
mod writer;

use tracing_subscriber::EnvFilter;

use self::line::Lines;
use self::writer::Lossy;
pub use self::writer::write_last;
use crate::config::LogSettings;

/// Starts logging for the whole process; a second call changes nothing. [`write_last`] belongs to its end.
pub fn init(settings: &LogSettings) {
    writer::start();
    let directives = directives(&settings.level);
    let filter = EnvFilter::try_new(directives).unwrap_or_else(|_| EnvFilter::new("hybridge=info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lossy)
        .log_internal_errors(false)
        .event_format(Lines::new(settings.format))
        .try_init();
    crate::panics::log_them();
}

/// A bare level is about this product. What its libraries say is asked for by name: h2 and rustls warn of each
/// frame and record that a stranger gets wrong, without a limit and with the stranger's text, and cryptoki calls
/// each mechanism of a token that it does not know an error. What matters of it is in lines of ours.
fn directives(level: &str) -> String {
    let mut all = "off".to_owned();
    for directive in level.split(',') {
        let ours = if directive.contains('=') {
            ""
        } else {
            "hybridge="
        };
        all.extend([",", ours, directive]);
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use std::process::Command;
    use std::thread;

    use super::*;
    use crate::config::LogFormat;

    const CHILD: &str = "run::logging::tests::panics_in_a_process_of_its_own";
    const SECRET: &str = "MIGHAgEAMBMGByqGSM49";

    #[test]
    fn a_bare_level_is_about_this_product() {
        for (level, meant) in [
            ("info", "off,hybridge=info"),
            ("off", "off,hybridge=off"),
            (
                "warn,hybridge::access=info",
                "off,hybridge=warn,hybridge::access=info",
            ),
            ("h2=debug,error", "off,h2=debug,hybridge=error"),
        ] {
            assert_eq!(directives(level), meant);
        }
    }

    /// The hook and the log are the whole process's: the test below starts this one.
    #[test]
    #[ignore = "run by another test"]
    fn panics_in_a_process_of_its_own() {
        init(&LogSettings {
            format: LogFormat::Json,
            level: "info".into(),
        });
        let static_text = thread::Builder::new().name("worker-7".into());
        let ended = static_text.spawn(|| panic!("out of range")).unwrap().join();
        assert!(ended.is_err());
        let formatted = thread::spawn(|| panic!("cannot read {SECRET}\nsecond line"));
        assert!(formatted.join().is_err());
        write_last("");
    }

    #[test]
    fn a_panic_is_one_line_of_json_without_what_it_was_made_of() {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", CHILD, "--ignored", "--nocapture"])
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        assert!(child.status.success(), "{child:?}");
        let log = String::from_utf8(child.stderr).unwrap();
        let parse = |line: &str| -> serde_json::Value {
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))
        };
        let lines: Vec<_> = log.lines().map(parse).collect();
        assert_eq!(lines.len(), 2, "{log}");
        for line in &lines {
            let location = line["location"].as_str().unwrap();
            assert!(location.starts_with("src/run/logging.rs:"), "{line}");
        }
        assert_eq!(lines[0]["panic"], "out of range");
        assert_eq!(lines[0]["thread"], "worker-7");
        assert!(!log.contains("MIGH") && !log.contains("second line"));
    }
}
