//! The client's side of the demo: a sidecar of its own, as in the pod of a client, with an egress to the
//! server's. Its metrics are its own too: what it counts can be compared with what the server counts.

use std::net::SocketAddr;

use super::error::Error;
use super::files::{Certificates, in_toml};
use crate::cli;
use crate::config::Config;
use crate::listener::BindError;
use crate::run::{self, Sidecar};

pub(super) const EGRESS: &str = "app";

pub(super) fn start(
    at: &cli::Demo,
    server: SocketAddr,
    certificates: &Certificates,
) -> Result<Sidecar, Error> {
    let config = Config::parse("demo", &configuration(at, server, certificates))?;
    Sidecar::start(config).map_err(|error| named_by_flag(error).into())
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

/// The demo has flags of its own for both addresses.
fn named_by_flag(error: run::Error) -> run::Error {
    match error {
        run::Error::Bind(BindError::InUse {
            listener, address, ..
        }) => run::Error::Bind(BindError::InUse {
            setting: if listener == EGRESS {
                "--egress-listen"
            } else {
                "--egress-admin"
            },
            listener,
            address,
        }),
        other => other,
    }
}
