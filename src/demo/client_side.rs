//! The client's side of the demo: a sidecar of its own, as in the pod of a client, with an egress to the
//! server's. Its metrics are its own too: what it counts can be compared with what the server counts.

use std::net::SocketAddr;

use super::error::{Error, named_by_flag};
use super::files::{Certificates, in_toml};
use crate::cli;
use crate::config::Config;
use crate::run::Sidecar;

pub(super) const EGRESS: &str = "app";

pub(super) fn start(
    at: &cli::Demo,
    server: SocketAddr,
    certificates: &Certificates,
) -> Result<Sidecar, Error> {
    let config = Config::parse("demo", &configuration(at, server, certificates))?;
    let flag = |listener: &str| match listener {
        EGRESS => "--egress-listen",
        _ => "--egress-admin",
    };
    Sidecar::start(config).map_err(|error| named_by_flag(error, flag).into())
}

fn configuration(at: &cli::Demo, server: SocketAddr, certificates: &Certificates) -> String {
    format!(
        "workers = 1\n[admin]\nlisten = \"{}\"\n[drain]\ndelay = \"0s\"\ntimeout = \"2s\"\n\
         [[egress]]\nname = \"{EGRESS}\"\nlisten = \"{}\"\ntarget = \"{server}\"\nprotocol = \"http\"\n\
         [egress.tls]\npolicy = \"hybrid-required\"\nca = {}\n",
        at.egress_admin,
        at.egress_listen,
        in_toml(&certificates.ca),
    )
}
