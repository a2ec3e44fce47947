//! Targets of a plan made ready: address looked up, CA loaded, observation set up.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hybridge_redact::Shown;
use rustls::pki_types::ServerName;

use super::address::{metrics_address, split_url};
use crate::error::{Error, Result};
use crate::net::counts::Counter;
use crate::net::dial::{Dialer, Endpoint, Expect, Tls};
use crate::net::served::Served;
use crate::observe::Probe;
use crate::plan::{Role, Speaks, Target};
use crate::regular;
use crate::results::Results;
use crate::tls::{ClientIdentity, Group, Trust};

/// Bytes of a file that holds a process id.
const PID_FILE: u64 = 4 << 10;

/// A target that can be dialled and observed.
#[derive(Clone, Debug)]
pub struct Resolved {
    pub plan: Target,
    pub endpoint: Arc<Endpoint>,
    pub speaks: Speaks,
    pub probe: Probe,
}

impl Resolved {
    /// The same target reached through a relay.
    #[must_use]
    pub fn via(mut self, relay: SocketAddr, rtt: Duration) -> Self {
        let endpoint = Arc::make_mut(&mut self.endpoint);
        endpoint.address = relay;
        endpoint.rtt = rtt;
        self
    }

    /// The same server under another name, with counts of its own.
    #[must_use]
    pub fn renamed(&self, name: String, role: Role) -> Self {
        let mut twin = self.clone();
        let endpoint = Arc::make_mut(&mut twin.endpoint);
        endpoint.name.clone_from(&name);
        endpoint.totals = Arc::new(Counter::default());
        twin.plan.name = name;
        twin.plan.role = role;
        twin
    }

    /// Replaces the groups the client offers; the first is the one that must come out.
    pub fn offer(&mut self, groups: Vec<Group>) {
        let endpoint = Arc::make_mut(&mut self.endpoint);
        if let (Some(tls), Some(first)) = (&mut endpoint.tls, groups.first()) {
            tls.expect = *first;
            self.plan.expect = *first;
            tls.groups.clone_from(&groups);
        }
        self.plan.groups = groups;
    }

    /// One handshake, so that a wrong target is told before anything is measured.
    pub async fn probe_handshake(&self) -> Result<()> {
        let mut dialed = Dialer::new(&self.endpoint, Vec::new(), false)?
            .dial(Expect::Full)
            .await?;
        // The handshake was the question; how the goodbye goes is not.
        drop(tokio::time::timeout(Duration::from_secs(1), dialed.stream.close()).await);
        Ok(())
    }
}

/// Looks up and loads what a target names.
pub fn resolve(target: &Target) -> Result<Resolved> {
    let (scheme, authority) = split_url(target)?;
    let unreachable = |source| Error::Unreachable {
        target: target.name.clone(),
        address: authority.clone(),
        source,
    };
    let address = authority.to_socket_addrs().map_err(unreachable)?.next();
    let address =
        address.ok_or_else(|| unreachable(std::io::ErrorKind::AddrNotAvailable.into()))?;
    let tls = if scheme == "http" {
        None
    } else {
        Some(tls(target, &authority)?)
    };
    Ok(Resolved {
        endpoint: Arc::new(Endpoint {
            name: target.name.clone(),
            address,
            authority,
            tls,
            rtt: Duration::ZERO,
            totals: Arc::new(Counter::default()),
            served: Served::default(),
        }),
        speaks: target.speaks(),
        probe: Probe::new(
            pid(target)?,
            target.metrics.as_deref().map(metrics_address).transpose()?,
        ),
        plan: target.clone(),
    })
}

fn tls(target: &Target, authority: &str) -> Result<Tls> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host)
        .trim_matches(['[', ']']);
    let name = target.server_name.as_deref().unwrap_or(host);
    let server_name = ServerName::try_from(name.to_owned()).map_err(|_| {
        Error::Usage(format!(
            "target {}: \"{}\" is not a server name; set server_name",
            target.name,
            Shown::from(name)
        ))
    })?;
    let trust = Trust::load(target.ca.as_deref())?;
    let identity = match (&target.client_cert, &target.client_key) {
        (Some(certificate), Some(key)) => Some(ClientIdentity::load(
            certificate,
            key,
            &format!("target {}", target.name),
        )?),
        _ => None,
    };
    Ok(Tls {
        server_name,
        trust,
        groups: target.groups.clone(),
        expect: target.expect,
        identity,
    })
}

fn pid(target: &Target) -> Result<Option<u32>> {
    match &target.pid_file {
        None => Ok(target.pid),
        Some(path) => pid_in(path, &format!("target {}", target.name)).map(Some),
    }
}

/// The running process a file names; `whose` is for messages.
pub fn pid_in(path: &Path, whose: &str) -> Result<u32> {
    let text = regular::text(path, PID_FILE)?;
    let pid = text.trim().parse().map_err(|_| {
        Error::Usage(format!(
            "{whose}: {} holds no process id",
            Shown::path(path)
        ))
    })?;
    if !Path::new(&format!("/proc/{pid}")).exists() {
        return Err(Error::Usage(format!(
            "{whose}: no process {pid} (from {})",
            Shown::path(path)
        )));
    }
    Ok(pid)
}

/// Metrics that did not answer, each once.
pub(super) fn tell_of_metrics(targets: &[Resolved], results: &mut Results) {
    for target in targets {
        let warning = target.probe.warning(&target.plan.name);
        let new = warning.filter(|warning| !results.warnings.contains(warning));
        results.warnings.extend(new);
    }
}
