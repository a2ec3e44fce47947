//! `hybridge demo`: a stub model server behind a hybrid and a classical-only listener, and a client's side
//! with an egress, all in one process, with throw-away certificates. Both sides are real sidecars.

mod addresses;
mod bulk;
mod chat;
mod client_side;
mod embeddings;
mod error;
mod files;
mod grpc;
mod guide;
mod reply;
mod stub;
mod websocket;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};

pub use self::error::Error;
use self::error::named_by_flag;
use self::files::{Certificates, in_toml};
use self::guide::Guide;
pub use self::stub::Stub;
use crate::cli;
use crate::config::{self, Config};
use crate::run::{self, End, Sidecar, Signals};
use crate::worker;

const HYBRID: &str = "hybrid";
const CLASSICAL: &str = "classical";
/// The hybrid port that only the egress knows, so that both count the same connections.
const FROM_EGRESS: &str = "from-egress";

/// Runs until a signal or `ctl quit` ends it. Blocks; builds its own runtime.
pub fn run(addresses: &cli::Demo) -> Result<(), Error> {
    if let Some(address) = addresses.stub {
        return serve_stub(address);
    }
    addresses::check(addresses)?;
    let certificates = Certificates::make(&[addresses.listen, addresses.classical_listen])?;
    let runtime = worker::runtime().map_err(run::Error::Runtime)?;
    worker::run(runtime, async {
        let stub = Stub::bind().map_err(Error::Stub)?;
        let text = configuration(addresses, stub.address(), &certificates);
        let config = Config::parse("demo", &text)?;
        run::init_logging(&config.log);
        tokio::spawn(stub.serve());
        // Signals are caught before anybody is told how to stop.
        let signals = Signals::install().map_err(run::Error::Signals)?;
        let sidecar = Sidecar::start(config).map_err(|error| {
            named_by_flag(error, |listener| match listener {
                HYBRID => "--listen",
                CLASSICAL => "--classical-listen",
                _ => "--admin",
            })
        })?;
        let client = client_side::start(addresses, server(&sidecar, FROM_EGRESS), &certificates)?;
        say(&guide(&sidecar, &client, &certificates).to_string())?;
        if let End::Aborted(open) = sidecar.until_signalled(signals).await {
            say(&format!("connections cut: {open}"))?;
        }
        client.shutdown().await;
        Ok(())
    })
}

/// The stub without a sidecar, until a signal; process 1 of a container has no default action for one.
fn serve_stub(address: SocketAddr) -> Result<(), Error> {
    let runtime = worker::runtime().map_err(run::Error::Runtime)?;
    worker::run(runtime, async {
        let stub = Stub::bind_to(address).map_err(Error::Stub)?;
        let mut signals = Signals::install().map_err(run::Error::Signals)?;
        say(&format!("stub model server: http://{}", stub.address()))?;
        tokio::select! {
            () = stub.serve() => {}
            () = signals.end() => {}
        }
        Ok(())
    })
}

fn say(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(Error::Output)
}

/// The demo is a configuration like any other. Nothing routes here by endpoints, so a drain starts at
/// once, and it does not last long.
fn configuration(at: &cli::Demo, stub: SocketAddr, certificates: &Certificates) -> String {
    let listener = |name: &str, listen: SocketAddr, policy: &str| {
        format!(
            "[[listener]]\nname = \"{name}\"\nlisten = \"{listen}\"\nupstream = \"{stub}\"\n\
             [listener.tls]\npolicy = \"{policy}\"\ncert = {}\nkey = {}\n",
            in_toml(&certificates.cert),
            in_toml(&certificates.key),
        )
    };
    format!(
        "[admin]\nlisten = \"{}\"\n[drain]\ndelay = \"0s\"\ntimeout = \"2s\"\n\
         {}{}{}",
        at.admin,
        listener(HYBRID, at.listen, "hybrid-preferred"),
        listener(CLASSICAL, at.classical_listen, "classical-only"),
        listener(
            FROM_EGRESS,
            (Ipv4Addr::LOCALHOST, 0).into(),
            "hybrid-required"
        ),
    )
}

fn server(sidecar: &Sidecar, name: &str) -> SocketAddr {
    first(sidecar.addresses(name))
}

fn first(addresses: &[SocketAddr]) -> SocketAddr {
    let first = addresses.first().copied().map(config::reachable);
    first.unwrap_or(guide::NOWHERE)
}

fn guide(sidecar: &Sidecar, client: &Sidecar, certificates: &Certificates) -> Guide {
    Guide {
        program: std::env::current_exe().unwrap_or_else(|_| "hybridge".into()),
        ca: certificates.ca.clone(),
        hybrid: server(sidecar, HYBRID),
        classical: server(sidecar, CLASSICAL),
        admin: first(sidecar.admin_addresses()),
        egress: server(client, client_side::EGRESS),
        egress_admin: first(client.admin_addresses()),
        process: std::process::id(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_a_configuration_that_check_accepts() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let certificates = Certificates::make(&[]).unwrap();
        let demo = cli::Demo {
            listen: address(8443),
            classical_listen: address(8444),
            admin: address(9443),
            egress_listen: address(9000),
            egress_admin: address(9444),
            stub: None,
        };
        let text = configuration(&demo, address(8000), &certificates);
        let config = Config::parse("demo", &text).unwrap();
        let modes: Vec<_> = config
            .listeners
            .iter()
            .map(|listener| listener.tls.policy.mode().name())
            .collect();
        assert_eq!(
            modes,
            ["hybrid-preferred", "classical-only", "hybrid-required"]
        );
        assert!(run::describe_certificates(&config).is_ok());
    }
}
