//! The far end of a tunnel leads to addresses of this host.

use std::io;
use std::net::{IpAddr, UdpSocket};

use super::error::Error;
use crate::config::ListenerConfig;
use crate::proxy::UpstreamAddr;

/// Refuses a tunnel that would lead out of this host.
pub(super) fn leads_home(listener: &ListenerConfig) -> Result<(), Error> {
    let UpstreamAddr::Tunnel(reach) = &listener.proxy.upstream else {
        return Ok(());
    };
    match reach.addresses.iter().find(|address| !is_own(**address)) {
        None => Ok(()),
        Some(address) => Err(Error::TunnelTo {
            listener: listener.socket.name.clone(),
            address: *address,
        }),
    }
}

/// The kernel binds nothing to an address of another host.
fn is_own(address: IpAddr) -> bool {
    let bound = UdpSocket::bind((address, 0));
    !matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_addresses_of_this_host_are_its_own() {
        assert!(is_own("127.0.0.1".parse().unwrap()));
        // TEST-NET-3 (RFC 5737): nobody has it.
        assert!(!is_own("203.0.113.7".parse().unwrap()));
    }
}
