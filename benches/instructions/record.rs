//! The recorded counts, and new ones beside them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// A count may differ from the recorded one by this share before it is said. Repeated runs differ by far less;
/// the rest is room for code that moved without being changed.
pub(crate) const LIMIT: f64 = 0.05;

const HEAD: &str = "\
# Instructions of `hybridge run` (one worker, `quick` profile) for one operation, in user space only: no time of
# the kernel, no caches, no waiting. Written by `just instructions record`, compared by `just instructions`.
#
# Counted by valgrind, which offers the program AES-NI and AVX2 and hides AVX-512, VAES and the SHA extensions: on a
# processor that has those, cryptography is a smaller share. A `rep movsb` counts as one for each byte, so
# a copy of more than 2 KiB weighs more here than in time.

";

/// `benches/instructions.toml`.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) with: Tools,
    /// Instructions of one operation by the name of the scenario.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// What the counts depend on beside the source.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    pub(crate) rustc: String,
    pub(crate) valgrind: String,
    /// Architecture, and those of the features that valgrind hands on which decide which code runs.
    pub(crate) processor: String,
}

/// How a count stands to the recorded one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    Within,
    Grew,
    Shrank,
    /// There is no record of it.
    New,
}

impl Record {
    pub(crate) fn file() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.toml")
    }

    /// The checked-in record, or why there is none.
    pub(crate) fn load() -> Result<Self, String> {
        let file = Self::file();
        let text = fs::read_to_string(&file);
        text.map_err(|error| error.to_string())
            .and_then(|text| toml::from_str(&text).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    pub(crate) fn save(&self) -> Result<(), String> {
        let text = toml::to_string(self).map_err(|error| error.to_string())?;
        fs::write(Self::file(), format!("{HEAD}{text}"))
            .map_err(|error| format!("{}: {error}", Self::file().display()))
    }
}

impl Tools {
    /// Those of this machine; an error names the one that is absent.
    pub(crate) fn here() -> Result<Self, String> {
        Ok(Self {
            rustc: version("rustc")?,
            valgrind: version("valgrind")?,
            processor: processor(),
        })
    }
}

fn version(tool: &str) -> Result<String, String> {
    let output = Command::new(tool).arg("--version").output();
    let output = output.map_err(|error| format!("{tool} cannot be run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn processor() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = about.lines().find(|line| line.starts_with("flags"));
    let flags: Vec<&str> = flags.unwrap_or_default().split_whitespace().collect();
    let decisive = ["aes", "avx2", "rdrand"];
    let present = decisive.into_iter().filter(|name| flags.contains(name));
    let words: Vec<&str> = [std::env::consts::ARCH]
        .into_iter()
        .chain(present)
        .collect();
    words.join(" ")
}

/// The change as a share of the recorded count.
pub(crate) fn change(recorded: u64, now: u64) -> f64 {
    now as f64 / recorded as f64 - 1.0
}

pub(crate) fn assess(recorded: Option<u64>, now: u64) -> Verdict {
    match recorded.map(|recorded| change(recorded, now)) {
        None => Verdict::New,
        Some(change) if change > LIMIT => Verdict::Grew,
        Some(change) if change < -LIMIT => Verdict::Shrank,
        Some(_) => Verdict::Within,
    }
}
