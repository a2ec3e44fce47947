//! `spiffe`: certificate, key and CAs from the Workload API of the agent on this host, not from files.

use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use super::origin::Origin;
use crate::spiffe::socket;

/// The files that an agent stands for.
const FILES: [Key; 4] = [Key::Cert, Key::PrivateKey, Key::ClientCa, Key::ClientCrl];

/// The agent's socket, if there is one.
pub(super) fn resolve(layer: &Layer, environment: &Environment) -> Result<Option<PathBuf>, Error> {
    let written = layer.text(Key::Spiffe)?;
    let endpoint = match written.as_str() {
        "off" => return Ok(None),
        "auto" => environment.spiffe_endpoint().ok_or_else(|| Error::Missing {
            at: layer.place(Key::Spiffe),
            remedy: "SPIFFE_ENDPOINT_SOCKET is not set; set it, or write spiffe = \"unix:/run/spire/agent.sock\"",
        })?,
        endpoint => endpoint,
    };
    let excluded = |at| Error::Excluded {
        at,
        other: "spiffe".to_owned(),
        remedy: "the agent gives certificate, key and CAs; remove one of the two",
    };
    if let Some(file) = FILES.into_iter().find(|key| layer.explicit(*key).is_some()) {
        return Err(excluded(layer.place(file)));
    }
    if let Some(table) = layer.certificates.first() {
        return Err(excluded(table.origin.clone()));
    }
    let socket = socket(endpoint).map_err(|problem| Error::Endpoint {
        at: match written.as_str() {
            "auto" => Origin::Environment("SPIFFE_ENDPOINT_SOCKET".into()),
            _ => layer.place(Key::Spiffe),
        },
        problem,
    })?;
    Ok(Some(socket))
}

/// Which of the agent's identities, if it is not the first.
pub(super) fn hint(layer: &Layer, agent: Option<&Path>) -> Result<Option<String>, Error> {
    let Some(given) = layer.explicit(Key::SpiffeHint) else {
        return Ok(None);
    };
    if agent.is_none() {
        return Err(Error::Excluded {
            at: layer.place(Key::SpiffeHint),
            other: "spiffe = \"off\"".to_owned(),
            remedy: "it says which of an agent's identities is used; write spiffe, or remove it",
        });
    }
    let hint = given.text(Key::SpiffeHint)?;
    Ok(Some(hint.to_owned()))
}

/// What messages, pages and metrics call an agent, where a file would stand.
pub(super) fn name(socket: &Path) -> PathBuf {
    format!("unix:{}", socket.display()).into()
}
