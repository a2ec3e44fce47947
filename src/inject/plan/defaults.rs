//! Defaults of the cluster: annotations that count for every pod that does not bring its own. They are
//! read by the parser of the annotations, and before the first pod.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::json;

use super::annotations;
use super::names::PREFIX;
use super::settings::{Defaults, Settings};

/// What an operator may decide for all pods; the other annotations say something about one app.
const NAMES: &[&str] = &[
    "cpu-limit",
    "cpu-request",
    "drain-delay",
    "drain-timeout",
    "init-order",
    "log-level",
    "memory",
];

impl FromStr for Defaults {
    type Err = String;

    /// `memory=256Mi,log-level=debug`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut values = BTreeMap::new();
        for entry in text.split(',').map(str::trim).filter(|e| !e.is_empty()) {
            let (name, value) = entry
                .split_once('=')
                .ok_or_else(|| format!("{entry:?} is not NAME=VALUE, such as memory=256Mi"))?;
            let name = name.trim().trim_start_matches(PREFIX);
            if !NAMES.contains(&name) {
                return Err(format!(
                    "{name:?} has no default for all pods; use {}",
                    NAMES.join(", ")
                ));
            }
            if values
                .insert(name.to_owned(), value.trim().to_owned())
                .is_some()
            {
                return Err(format!("{name} is given twice"));
            }
        }
        let defaults = Self(values);
        let settings = Settings {
            defaults: defaults.clone(),
            ..Settings::default()
        };
        // A pod without annotations gets only the defaults.
        annotations::parse(&json!({}), None, &settings).map_err(|deny| deny.to_string())?;
        Ok(defaults)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn defaults_are_names_of_annotations_with_their_values() {
        let read: Defaults = "memory=256Mi, hybridge.dev/log-level=debug"
            .parse()
            .unwrap();
        assert_eq!(read.get("memory"), Some("256Mi"));
        assert_eq!(read.get("log-level"), Some("debug"));
        assert_eq!(read.get("cpu-request"), None);
        assert_eq!("".parse(), Ok(Defaults::default()));
    }

    #[test]
    fn a_wrong_default_is_refused_before_the_first_pod() {
        for (text, named) in [
            ("memory", "NAME=VALUE"),
            ("ports=8000", "no default for all pods"),
            ("memory=256Mi,memory=1Gi", "twice"),
            ("memory=1Mi", "memory"),
            ("log-level=loud", "log-level"),
            ("cpu-request=2,cpu-limit=1", "cpu-limit"),
        ] {
            let refused = text.parse::<Defaults>().unwrap_err();
            assert!(refused.contains(named), "{text}: {refused}");
        }
    }
}
