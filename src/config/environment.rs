//! The environment: the variables that are ours, and what to say about those that nearly are.

use std::collections::BTreeMap;
use std::fmt;

use super::alias::flag_meant;
use super::error::Error;
use super::key::{Key, variable};
use crate::redact::Shown;
use crate::suggest::suggest;

/// What every variable of ours starts with.
const PREFIX: &str = "HYBRIDGE_";

/// Variables by name; empty values count as unset.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

/// Only the names: a value may be a key, of this program or of another.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.keys().map(|name| Shown::from(name.as_str()));
        f.debug_set().entries(names).finish()
    }
}

impl Environment {
    /// Those of this process. A value that is not UTF-8 keeps its readable part.
    pub fn of_process() -> Self {
        std::env::vars_os()
            .map(|(name, value)| {
                let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
                (text(name), text(value))
            })
            .collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The addresses of the pod, as Kubernetes writes `status.podIPs`.
    pub(super) fn pod_ips(&self) -> Option<&str> {
        self.get("POD_IPS")
    }

    /// Where the agent of SPIFFE listens, as SPIFFE writes it.
    pub(super) fn spiffe_endpoint(&self) -> Option<&str> {
        self.get("SPIFFE_ENDPOINT_SOCKET")
    }

    /// The collector of traces, as OpenTelemetry writes it.
    pub(super) fn otlp_endpoint(&self) -> Option<&str> {
        self.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    }

    /// The name of the service in traces, as OpenTelemetry writes it.
    pub(super) fn otel_service_name(&self) -> Option<&str> {
        self.get("OTEL_SERVICE_NAME")
    }

    /// Refuses variables that are nearly ours, and returns a warning for each that only looks like it.
    pub(super) fn unknown(&self) -> Result<Vec<String>, Error> {
        let known = known();
        let flags: Vec<String> = known.iter().map(|name| flag_of(name)).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut warnings = Vec::new();
        for (name, value) in &self.0 {
            if !name.starts_with(PREFIX) || known.contains(name) || is_service_link(name, value) {
                continue;
            }
            let given = Shown::from(name.as_str());
            let own_part = flag_of(name);
            let nearest = flag_meant(&own_part, &flags).map(variable);
            warnings.push(match nearest {
                Some(nearest) if suggest(&own_part, flags.iter().copied()).is_some() => {
                    return Err(Error::UnknownVariable { given, nearest });
                }
                // What other software calls so may be of other software.
                Some(nearest) => format!(
                    "{given}: unknown environment variable, ignored: did you mean {nearest}?"
                ),
                None => format!("{given}: unknown environment variable, ignored"),
            });
        }
        Ok(warnings)
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(_, value)| !value.trim().is_empty())
                .collect(),
        )
    }
}

/// The flag that a variable is named like.
fn flag_of(variable: &str) -> String {
    let own_part = variable.trim_start_matches(PREFIX);
    own_part.to_ascii_lowercase().replace('_', "-")
}

/// Every variable of `run` and `check`.
fn known() -> Vec<String> {
    let keys = Key::ALL.iter().map(|key| key.variable());
    keys.chain(["config", "ports", "egress"].map(variable))
        .collect()
}

/// Variables that Kubernetes makes for a Service whose name starts with "hybridge".
fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    let of_port = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
        ["", "_PROTO", "_PORT", "_ADDR"]
            .iter()
            .any(|part| name.ends_with(&format!("{protocol}{part}")))
    });
    is_url
        || name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || (of_port && name.contains("_PORT_"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_slip_of_the_finger_is_refused_with_the_right_name() {
        for (given, meant) in [
            ("HYBRIDGE_POLCY", "HYBRIDGE_POLICY"),
            // One edit from HYBRIDGE_PORTS too.
            ("HYBRIDGE_PORT", "HYBRIDGE_LISTEN"),
            ("HYBRIDGE_CLENT_ATUH", "HYBRIDGE_CLIENT_AUTH"),
            ("HYBRIDGE_KEYS", "HYBRIDGE_KEY"),
            ("HYBRIDGE_MAX_CONECTIONS", "HYBRIDGE_MAX_CONNECTIONS"),
        ] {
            let error = environment(&[(given, "x")]).unknown().unwrap_err();
            let expected = format!("{given}: unknown environment variable: did you mean {meant}?");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_variable_far_from_every_name_is_a_warning() {
        for (given, hint) in [
            ("HYBRIDGE_COLOUR", ""),
            ("HYBRIDGE_EGRESS_HOST", ""),
            ("HYBRIDGE_EGRESS_PORT", ""),
            ("HYBRIDGE_EGRESS_MODE", ""),
            ("HYBRIDGE_UPSTREAM_HOST", ""),
            ("HYBRIDGE_CLIENT_CERT", ": did you mean HYBRIDGE_CLIENT_CA?"),
            ("HYBRIDGE_MODE", ": did you mean HYBRIDGE_POLICY?"),
            ("HYBRIDGE_TLS_CERT", ": did you mean HYBRIDGE_CERT?"),
        ] {
            let warnings = environment(&[(given, "x")]).unknown().unwrap();
            let expected = format!("{given}: unknown environment variable, ignored{hint}");
            assert_eq!(warnings, [expected]);
        }
    }

    #[test]
    fn links_to_a_service_called_hybridge_are_not_ours() {
        let links = environment(&[
            ("HYBRIDGE_PORT", "tcp://10.0.0.1:8443"),
            ("HYBRIDGE_PORT_8443_TCP", "tcp://10.0.0.1:8443"),
            ("HYBRIDGE_PORT_8443_TCP_ADDR", "10.0.0.1"),
            ("HYBRIDGE_PORT_8443_TCP_PROTO", "tcp"),
            ("HYBRIDGE_SERVICE_HOST", "10.0.0.1"),
            ("HYBRIDGE_SERVICE_PORT_HTTPS", "8443"),
            ("HYBRIDGE_ADMIN_PORT", "tcp://10.0.0.2:9443"),
        ]);
        assert_eq!(links.unknown().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let set = environment(&[("HYBRIDGE_POLCY", ""), ("HYBRIDGE_NAME", " ")]);
        assert!(set.unknown().unwrap().is_empty());
        assert_eq!(set.get("HYBRIDGE_NAME"), None);
    }
}
