//! `spiffe`: the agent that gives a pod certificate, key and CAs. A CSI driver mounts its socket: Pod
//! Security, baseline already, forbids the hostPath that would do the same.

use serde_json::{Value, json};

use super::reader::Reader;
use crate::inject::plan::deny::Deny;
use crate::inject::plan::settings::secret_name;

const NAME: &str = "spiffe";
/// What the agent gives instead.
const FILES: [&str; 3] = ["tls-secret", "client-ca", "client-crl"];
/// What SPIRE's chart and the driver's examples call the socket.
const USUAL_SOCKET: &str = "spire-agent.sock";
/// The longest name that Kubernetes takes for a driver; a longer path than this allows is no socket's.
const LONGEST: usize = 63;

/// The CSI driver that mounts the agent's socket, and the name of the socket in that volume.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Agent {
    pub(crate) driver: String,
    pub(crate) socket: String,
}

impl Agent {
    /// `csi/DRIVER`, then `:SOCKET` unless it is the usual one.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("csi/")?;
        let (driver, socket) = rest.split_once(':').unwrap_or((rest, USUAL_SOCKET));
        let of_file = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_file = !socket.is_empty()
            && socket.len() <= LONGEST
            && socket.chars().all(of_file)
            && !socket.starts_with('.');
        (is_file && driver.len() <= LONGEST && secret_name(driver).is_ok()).then(|| Self {
            driver: driver.to_owned(),
            socket: socket.to_owned(),
        })
    }

    /// The volume with the socket. Drivers take it read-only or not at all.
    pub(crate) fn volume(&self, name: &str) -> Value {
        json!({"name": name, "csi": {"driver": self.driver, "readOnly": true}})
    }
}

/// The agent, if the pod has its certificate from one.
pub(super) fn parse(read: &Reader<'_>) -> Result<Option<Agent>, Deny> {
    let what = "write csi/csi.spiffe.io, the CSI driver that mounts the agent's socket, and :SOCKET behind it unless the socket is spire-agent.sock; or off";
    let given = read.parsed(NAME, what, |text| match text {
        "off" => Some(None),
        text => Agent::parse(text).map(Some),
    })?;
    let Some(agent) = given.flatten() else {
        return Ok(None);
    };
    // Of agent and files the nearer to the pod count.
    let problem = "contradicts spiffe: the agent gives certificate, key and CAs; remove it, or write hybridge.dev/spiffe: \"off\"";
    for name in FILES {
        if read.text(name).is_some() && read.outranks(name, NAME, problem)? {
            return Ok(None);
        }
    }
    Ok(Some(agent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_a_driver_and_a_socket() {
        let of = |text: &str| Agent::parse(text).map(|agent| (agent.driver, agent.socket));
        let usual = ("csi.spiffe.io".to_owned(), USUAL_SOCKET.to_owned());
        assert_eq!(of("csi/csi.spiffe.io"), Some(usual));
        let other = ("example.org".to_owned(), "api.sock".to_owned());
        assert_eq!(of("csi/example.org:api.sock"), Some(other));
        for wrong in [
            "",
            "csi",
            "csi/",
            "csi.spiffe.io",
            "csi/CSI",
            "csi/a:",
            "csi/a:../agent.sock",
            "csi/a:..",
            "csi/a:b/c",
            "unix:/run/spire/agent.sock",
            "hostpath/run/spire",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(of(&format!("csi/{}", "a".repeat(64))), None);
        assert_eq!(of(&format!("csi/a:{}", "a".repeat(64))), None);
    }
}
