//! Addresses that contradict each other, told by the flags of the demo: its configuration has lines that nobody wrote.

use super::error::Error;
use crate::cli;
use crate::listener::overlap;

/// Refuses what the sidecars of the demo could not be given.
pub(super) fn check(at: &cli::Demo) -> Result<(), Error> {
    let flags = [
        ("--listen", at.listen),
        ("--classical-listen", at.classical_listen),
        ("--admin", at.admin),
        ("--egress-listen", at.egress_listen),
        ("--egress-admin", at.egress_admin),
    ];
    for (position, (flag, address)) in flags.into_iter().enumerate() {
        let mut earlier = flags[..position].iter();
        if let Some((other, _)) = earlier.find(|(_, taken)| overlap(*taken, address)) {
            return Err(Error::Addresses(format!(
                "{flag}: {address} is also taken by {other}: give each its own port"
            )));
        }
    }
    let egress = at.egress_listen;
    if !egress.ip().to_canonical().is_loopback() {
        return Err(Error::Addresses(format!(
            "--egress-listen: {egress} is not loopback: what apps send there is plaintext; use 127.0.0.1 or [::1]"
        )));
    }
    Ok(())
}
