//! Names into addresses, anew for each connection: a name that moves is followed at once.

use std::net::SocketAddr;
use std::time::Duration;

use super::error::OriginError;
use super::lookups::{Found, Late, Lookups};
use super::target::Target;
use crate::metrics::EgressMetrics;

/// On a thread of its own that cannot be cancelled: it ends by the resolver's own patience.
async fn by_host(name: String) -> Found {
    let found = tokio::net::lookup_host((name, 0)).await;
    let found = found.map_err(|error| error.to_string())?;
    Ok(found.collect())
}

/// The addresses of a target, as the host's resolver orders them.
pub(super) async fn resolve(
    target: &Target,
    timeout: Duration,
    lookups: &Lookups,
    metrics: &EgressMetrics,
) -> Result<Vec<SocketAddr>, OriginError> {
    if let Some(address) = target.address() {
        return Ok(vec![address]);
    }
    let name = target.name().unwrap_or_default();
    let found = lookups.find(name, timeout, by_host).await;
    let found = found.map_err(|late| {
        metrics.resolved(false, true);
        match late {
            Late::Asked => OriginError::ResolveTimeout(name.to_owned()),
            Late::Waited => OriginError::ResolveWait(name.to_owned()),
        }
    })?;
    let failed = |cause: String| OriginError::Resolve {
        name: name.to_owned(),
        cause,
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            metrics.resolved(false, false);
            return Err(failed(error));
        }
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for mut address in found {
        address.set_port(target.port());
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    metrics.resolved(!addresses.is_empty(), false);
    if addresses.is_empty() {
        return Err(failed("it has no address".to_owned()));
    }
    Ok(addresses)
}
