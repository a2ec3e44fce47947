//! Addresses as operators and Kubernetes write them: listening addresses and upstreams. Pure.

mod error;
mod misread;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use self::error::AddressError;
pub(super) use self::misread::{Clients, as_none};
use crate::proxy::UpstreamAddr;
use crate::redact::{Secret, Shown};

/// `sun_path` of Linux holds 108 bytes, the closing NUL included (unix(7)).
const LONGEST_UNIX_PATH: usize = 107;

/// Spellings of "the addresses of this pod"; the last is what Kubernetes leaves when it has no such variable.
const POD_IPS: [&str; 3] = ["$POD_IPS", "${POD_IPS}", "$(POD_IPS)"];

/// Reads listening addresses. `pod_ips` is the content of the variable POD_IPS.
///
/// An item without a port takes that of the last item, because `$(POD_IPS):8000` becomes
/// `10.1.2.3,fd00::3:8000` in Kubernetes.
pub(super) fn listening(
    items: &[String],
    pod_ips: Option<&str>,
    clients: Clients,
) -> Result<Vec<SocketAddr>, AddressError> {
    let Some((last, rest)) = items.split_last() else {
        return Err(AddressError::Empty);
    };
    let mut tail = with_port(last, pod_ips, clients)?;
    let shared = tail.first().map(SocketAddr::port);
    let mut addresses = Vec::new();
    for item in rest {
        match (item.parse::<IpAddr>(), shared) {
            (Ok(ip), Some(port)) => addresses.push(SocketAddr::new(ip, port)),
            _ => addresses.append(&mut with_port(item, pod_ips, clients)?),
        }
    }
    addresses.append(&mut tail);
    Ok(addresses)
}

/// Reads where the apps of this host connect: addresses, and the paths of Unix sockets.
pub(super) fn of_apps(items: &[String]) -> Result<(Vec<SocketAddr>, Vec<PathBuf>), AddressError> {
    let (mut addresses, mut paths) = (Vec::new(), Vec::new());
    for item in items {
        match item.strip_prefix("unix:") {
            Some(path) => paths.push(unix(item, path)?),
            None => addresses.push(item.clone()),
        }
    }
    if addresses.is_empty() && !paths.is_empty() {
        return Ok((Vec::new(), paths));
    }
    addresses
        .iter()
        .try_for_each(|item| misread::as_path(item))?;
    Ok((listening(&addresses, None, Clients::Host)?, paths))
}

/// Reads one address with a port, for flags that take no list.
pub fn socket(text: &str) -> Result<SocketAddr, AddressError> {
    one(text, Clients::Network)
}

/// The same of an address that is for this host.
pub fn host_socket(text: &str) -> Result<SocketAddr, AddressError> {
    one(text, Clients::Host)
}

fn one(text: &str, clients: Clients) -> Result<SocketAddr, AddressError> {
    let text = text.trim();
    match with_port(text, None, clients)?.as_slice() {
        [address] => Ok(*address),
        _ => Err(AddressError::Empty),
    }
}

/// The address that a client on this host uses: loopback for a wildcard.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Reads addresses without ports.
pub(super) fn hosts(items: &[String], pod_ips: Option<&str>) -> Result<Vec<IpAddr>, AddressError> {
    let mut hosts = Vec::new();
    for item in items {
        if POD_IPS.contains(&item.as_str()) {
            hosts.append(&mut pod_addresses(item, pod_ips)?);
            continue;
        }
        let bare = item
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let ip = bare.unwrap_or(item).parse();
        hosts.push(ip.map_err(|_| AddressError::NotIpAlone(item.as_str().into()))?);
    }
    Ok(hosts)
}

/// Reads where the upstream listens. Loopback or not is the caller's question.
pub(super) fn upstream(text: &str) -> Result<UpstreamAddr, AddressError> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(text, path).map(UpstreamAddr::Unix);
    }
    misread::as_upstream(text)?;
    let (host, port) = split(text)?;
    let ip = parse_ip(text, host)?;
    let port = parse_port(text, port)?;
    if port == 0 {
        return Err(AddressError::Port(text.into(), "0".into()));
    }
    if ip.is_unspecified() {
        return Err(AddressError::Unspecified(text.into()));
    }
    Ok(UpstreamAddr::Tcp(SocketAddr::new(ip.to_canonical(), port)))
}

/// Reads one entry of `--ports`.
pub(super) fn ports_entry(text: &str) -> Result<(u16, UpstreamAddr), AddressError> {
    let (port, target) = text
        .split_once('=')
        .ok_or_else(|| AddressError::PortsEntry(text.into()))?;
    let number = parse_port(text, port.trim())?;
    if number == 0 {
        return Err(AddressError::Port(text.into(), port.into()));
    }
    Ok((number, upstream(target.trim())?))
}

/// The path of a Unix socket.
fn unix(text: &str, path: &str) -> Result<PathBuf, AddressError> {
    if !path.starts_with('/') {
        return Err(AddressError::UnixRelative(text.into()));
    }
    if Secret::of(text).is_some() {
        return Err(AddressError::LikeAKey(text.into()));
    }
    if path.len() > LONGEST_UNIX_PATH {
        return Err(AddressError::UnixTooLong(
            Shown::path(Path::new(text)),
            path.len(),
        ));
    }
    Ok(PathBuf::from(path))
}

/// One item that carries a port; several addresses when it names those of the pod.
fn with_port(
    text: &str,
    pod_ips: Option<&str>,
    clients: Clients,
) -> Result<Vec<SocketAddr>, AddressError> {
    misread::as_listening(text, clients)?;
    let (host, port) = split(text)?;
    let port = parse_port(text, port)?;
    let hosts = match host {
        "" => vec![Ipv6Addr::UNSPECIFIED.into()],
        host if POD_IPS.contains(&host) => pod_addresses(text, pod_ips)?,
        // One of IPv4 that is written in IPv6's way is bound as what it is.
        host => vec![parse_ip(text, host)?.to_canonical()],
    };
    Ok(hosts
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

fn pod_addresses(text: &str, pod_ips: Option<&str>) -> Result<Vec<IpAddr>, AddressError> {
    pod_ips
        .ok_or_else(|| AddressError::PodIpsUnset(text.into()))?
        .split(',')
        .map(|ip| {
            let ip = ip.trim();
            ip.parse().map_err(|_| AddressError::PodIps(ip.into()))
        })
        .collect()
}

/// Host and port of `HOST:PORT`; the host without its brackets.
fn split(text: &str) -> Result<(&str, &str), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let no_port = || AddressError::NoPort(text.into());
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once("]:").ok_or_else(no_port);
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
    if host.contains(':') && host.parse::<Ipv6Addr>().is_err() && text.parse::<Ipv6Addr>().is_ok() {
        return Err(AddressError::Brackets(text.into()));
    }
    Ok((host, port))
}

fn parse_ip(text: &str, host: &str) -> Result<IpAddr, AddressError> {
    host.parse()
        .map_err(|_| AddressError::NotIp(text.into(), behind_user(host).into()))
}

fn parse_port(text: &str, port: &str) -> Result<u16, AddressError> {
    port.parse()
        .map_err(|_| AddressError::Port(text.into(), behind_user(port).into()))
}

/// What follows user and password, which are never repeated.
fn behind_user(part: &str) -> &str {
    part.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
