//! What no address can mend: an app that serves TLS itself, or on another port than it is to be reached on.

use serde_json::Value;

use super::listeners;
use crate::inject::plan::argv::flag_value;
use crate::inject::plan::catalog::Server;
use crate::inject::plan::deny::{Deny, Reason};
use crate::inject::plan::pod;

/// An app that serves TLS itself cannot be reached in plaintext by the sidecar.
pub(super) fn refuse_tls_app(container: &Value) -> Result<(), Deny> {
    const FLAGS: &[&str] = &[
        "--ssl-certfile",
        "--ssl-keyfile",
        "--ssl-cert-file",
        "--ssl-key-file",
        "--grpc-use-ssl",
    ];
    let argv = pod::argv(container);
    let flag = argv
        .iter()
        .map(|word| word.split('=').next().unwrap_or_default())
        .find(|word| FLAGS.contains(word));
    match flag {
        Some(flag) => Err(Reason::AppServesTls.deny(format!(
                "container {:?} serves TLS itself ({flag}); remove that, hybridge speaks plaintext to the app on loopback",
                pod::name(container)
            ))),
        None => Ok(()),
    }
}

/// A sidecar in front of a port on which nothing listens would respond to every request with an error.
pub(super) fn refuse_other_ports(
    server: &Server,
    container: &Value,
    ports: &[u16],
) -> Result<(), Deny> {
    let name = pod::name(container);
    if let Some(path) = flag_value(container, "--uds") {
        return Err(Reason::NotMovable.deny(format!(
                "container {name:?} listens on the Unix socket {path} (--uds) and on no port; remove --uds"
            )));
    }
    let own = listeners::by_flags(server, container);
    match ports.iter().find(|port| !own.contains(port)) {
        Some(port) if !own.is_empty() => {
            let list: Vec<String> = own.iter().map(u16::to_string).collect();
            Err(Reason::PortConflict.deny(format!(
                    "container {name:?} is to be reached on port {port}, but its command line makes {} listen on {}; declare that as containerPort, and name it where hybridge.dev/ports is given",
                    server.title,
                    list.join(", ")
                )))
        }
        _ => Ok(()),
    }
}
