//! Which configuration is in use, and what became of the one after it.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::tls::credentials::{rfc3339, unix_seconds};

/// The configuration in use.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The file it comes from, as messages name it; `None`: flags and environment only.
    pub file: Option<String>,
    /// How many have been in use, this one included.
    pub generation: u64,
    /// Since when, unix seconds.
    pub since: i64,
    /// Why the file's present content is not in use, and since when.
    pub error: Option<(String, i64)>,
    /// Settings that differ in the file and count from the next start on.
    pub next_start: Vec<&'static str>,
}

impl Configuration {
    /// The first one, from now on.
    pub fn first(file: Option<String>) -> Self {
        Self {
            file,
            generation: 1,
            since: now(),
            ..Self::default()
        }
    }

    /// Another one is in use from now on.
    #[must_use]
    pub fn next(&self, next_start: Vec<&'static str>) -> Self {
        Self {
            file: self.file.clone(),
            generation: self.generation + 1,
            since: now(),
            error: None,
            next_start,
        }
    }

    /// The file says the same as before.
    #[must_use]
    pub fn unchanged(&self, next_start: Vec<&'static str>) -> Self {
        Self {
            error: None,
            next_start,
            ..self.clone()
        }
    }

    /// What the file says cannot be used.
    #[must_use]
    pub fn refused(&self, error: &str) -> Self {
        Self {
            error: Some((error.to_owned(), now())),
            ..self.clone()
        }
    }

    /// A failed reload, for `/readyz`.
    pub(super) fn detail(&self) -> Option<String> {
        let (error, _) = self.error.as_ref()?;
        Some(format!(
            "the last reload of the configuration failed, the one before it is used: {error}"
        ))
    }

    pub(super) fn describe(&self) -> Value {
        json!({
            "file": self.file,
            "generation": self.generation,
            "since": rfc3339(self.since),
            "error": self.error.as_ref().map(|(error, _)| error),
            "error_since": self.error.as_ref().map(|(_, since)| rfc3339(*since)),
            "next_start": self.next_start,
        })
    }
}

fn now() -> i64 {
    unix_seconds(SystemTime::now())
}
