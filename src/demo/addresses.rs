//! Addresses that contradict each other, told by the flags of the demo: its configuration has lines that nobody wrote.

use std::net::SocketAddr;

use super::error::Error;
use crate::cli;
use crate::listener::overlap;

/// Refuses what the sidecars of the demo could not be given.
pub(super) fn check(at: &cli::Demo) -> Result<(), Error> {
    let mut flags = [
        ("--listen", at.listen),
        ("--classical-listen", at.classical_listen),
        ("--admin", at.admin),
        ("--egress-listen", at.egress_listen),
        ("--egress-admin", at.egress_admin),
    ]
    .into_iter();
    let mut seen: Vec<(&str, SocketAddr)> = Vec::new();
    flags.try_for_each(|(flag, address)| {
        if let Some((other, _)) = seen.iter().find(|(_, taken)| overlap(*taken, address)) {
            return Err(Error::Addresses(format!(
                "{flag}: {address} is also taken by {other}: give each its own port"
            )));
        }
        seen.push((flag, address));
        Ok(())
    })?;
    let egress = at.egress_listen;
    if !egress.ip().to_canonical().is_loopback() {
        return Err(Error::Addresses(format!(
            "--egress-listen: {egress} is not loopback: what apps send there is plaintext; use 127.0.0.1 or [::1]"
        )));
    }
    Ok(())
}
