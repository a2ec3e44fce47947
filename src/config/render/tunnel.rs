//! The far end of a tunnel written back.

use std::fmt;

use super::text::list;
use crate::config::tunnel::is_open;
use crate::proxy::TunnelReach;
use crate::tls;

pub(super) fn write(
    f: &mut fmt::Formatter<'_>,
    reach: &TunnelReach,
    tls: &tls::Settings,
) -> fmt::Result {
    let addresses: Vec<_> = reach.addresses.iter().map(ToString::to_string).collect();
    let ports: Vec<_> = reach.ports.iter().map(ToString::to_string).collect();
    let listed = |all: &[String]| list(all.iter().map(String::as_str));
    writeln!(f, "tunnel-to = {}", listed(&addresses))?;
    writeln!(f, "tunnel-ports = {}", listed(&ports))?;
    if is_open(tls) {
        writeln!(f, "unsafe-open-tunnel = true")?;
    }
    Ok(())
}
