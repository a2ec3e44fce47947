//! The probe table: the types that the sidecar's admin server reads from HYBRIDGE_PROBES.
//! The kubelet requests `path` of the admin port; the sidecar makes the check on loopback.

mod answer;
mod body;
mod check;
mod error;
mod escape;
mod redirect;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::check::Checked;
pub use self::error::CheckError;
use crate::json;
use crate::redact::Shown;

/// The timeout of what has none.
pub(crate) const UNLIMITED: u32 = 0;

/// Every rewritten probe of a pod, as a JSON array.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ProbeTable {
    entries: Vec<Probe>,
}

/// One check and its path on the admin port.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Probe {
    /// Exact path on the admin port: `/probe/<container>/<readiness|liveness|startup>`, and
    /// `postStart` or `preStop` for a lifecycle hook.
    pub path: String,
    /// The kind of check.
    pub kind: ProbeKind,
    /// Where the app listens; always a loopback address.
    pub address: IpAddr,
    /// The app's port.
    pub port: u16,
    /// Kind http: path and query of the request, starting with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Kind http: headers of the request, `Host` included when the probe had one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ProbeHeader>,
    /// Kind grpc: the `service` of grpc.health.v1.HealthCheckRequest; empty means the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The kubelet gives up after this many seconds. 0: a lifecycle hook, for which it waits as long as the pod
    /// may live.
    pub timeout_seconds: u32,
}

impl Probe {
    /// Whether only its caller and the app end it.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.timeout_seconds == UNLIMITED
    }

    /// Whether target and headers can be written into a request as they are.
    pub(crate) fn is_http_clean(&self) -> bool {
        let target = self.target.as_deref().unwrap_or("/");
        let headers = self.headers.iter();
        target.starts_with('/')
            && target.bytes().all(|b| b.is_ascii_graphic() || b >= 0x80)
            && headers
                .clone()
                .all(|h| http::HeaderName::try_from(h.name.as_str()).is_ok())
            && headers
                .clone()
                .all(|h| http::HeaderValue::try_from(h.value.as_str()).is_ok())
    }
}

/// What kind of check is made.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// GET; a status from 200 to 399 is success. A redirect to the same host and port is followed.
    Http,
    /// A connection that opens is success.
    Tcp,
    /// grpc.health.v1 Check; SERVING is success.
    Grpc,
}

/// A header of an HTTP probe.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeHeader {
    /// Header name as in the manifest.
    pub name: String,
    /// Header value as in the manifest.
    pub value: String,
}

/// Why a probe table is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeTableError {
    /// Not JSON, or not of this form.
    #[error("the probe table is not a JSON array of probes: {}", json::said(.0))]
    Json(#[from] serde_json::Error),
    /// A table could otherwise make the sidecar call any host.
    #[error("probe {path} goes to {address}, which is not a loopback address")]
    NotLoopback {
        /// Path of the probe.
        path: Shown,
        /// Its address.
        address: IpAddr,
    },
    /// A line break in a request would make two of it.
    #[error("probe {path} has a target or header that HTTP does not allow")]
    NotHttp {
        /// Path of the probe.
        path: Shown,
    },
    /// The path is outside the space reserved for probes.
    #[error("probe path {path:?} does not start with /probe/")]
    Path {
        /// The path.
        path: Shown,
    },
}

impl ProbeTable {
    /// Reads the value of HYBRIDGE_PROBES.
    pub fn from_json(text: &str) -> Result<Self, ProbeTableError> {
        let table: Self = serde_json::from_str(text)?;
        for probe in &table.entries {
            if !probe.address.is_loopback() {
                return Err(ProbeTableError::NotLoopback {
                    path: probe.path.as_str().into(),
                    address: probe.address,
                });
            }
            if !probe.is_http_clean() {
                return Err(ProbeTableError::NotHttp {
                    path: probe.path.as_str().into(),
                });
            }
            if !probe.path.starts_with("/probe/") {
                return Err(ProbeTableError::Path {
                    path: probe.path.as_str().into(),
                });
            }
        }
        Ok(table)
    }

    /// What may be shown of it: header values and queries, which may be tokens, are left out.
    pub(crate) fn shown(&self) -> Self {
        let mut shown = self.clone();
        for probe in &mut shown.entries {
            for header in &mut probe.headers {
                "(not shown)".clone_into(&mut header.value);
            }
            if let Some(target) = &mut probe.target
                && let Some(query) = target.find(['?', '#'])
            {
                target.truncate(query + 1);
                target.push_str("(query, not shown)");
            }
        }
        shown
    }

    /// The probe with exactly this path.
    pub fn lookup(&self, path: &str) -> Option<&Probe> {
        self.entries.iter().find(|probe| probe.path == path)
    }

    /// All probes, in the order of the pod's containers.
    pub fn probes(&self) -> &[Probe] {
        &self.entries
    }

    pub(crate) fn push(&mut self, probe: Probe) {
        self.entries.push(probe);
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "[]".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_survives_the_environment() {
        let text = r#"[{"path":"/probe/a/readiness","kind":"http","address":"127.0.0.1","port":8000,"target":"/health","headers":[{"name":"X-A","value":"b"}],"timeoutSeconds":3}]"#;
        let table = ProbeTable::from_json(text).unwrap_or_default();
        assert_eq!(table.to_json(), text);
        assert_eq!(
            table
                .lookup("/probe/a/readiness")
                .map(|p| p.timeout_seconds),
            Some(3)
        );
        assert_eq!(table.lookup("/probe/a"), None);
    }

    #[test]
    fn a_table_that_leaves_loopback_is_refused() {
        let text = r#"[{"path":"/probe/a/b","kind":"tcp","address":"10.0.0.1","port":1,"timeoutSeconds":1}]"#;
        assert!(matches!(
            ProbeTable::from_json(text),
            Err(ProbeTableError::NotLoopback { .. })
        ));
        let text =
            r#"[{"path":"/metrics","kind":"tcp","address":"::1","port":1,"timeoutSeconds":1}]"#;
        assert!(matches!(
            ProbeTable::from_json(text),
            Err(ProbeTableError::Path { .. })
        ));
    }
}
