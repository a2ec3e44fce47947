//! Where the apps of an egress connect: loopback, and Unix sockets.

use super::address;
use super::egress_error::EgressError;
use super::error::Error;
use super::key::Key;
use super::layer::Layer;
use crate::listener::{self, UnixSockets};
use crate::proxy::Protocol;
use crate::proxy::egress::Settings;
use crate::redact::Shown;

pub(super) fn resolve(layer: &Layer, name: &str) -> Result<listener::Settings, Error> {
    let key = Key::EgressListen;
    let (addresses, paths) =
        address::of_apps(&layer.list(key)?).map_err(|problem| Error::Address {
            at: layer.place(key),
            problem,
        })?;
    let remote = addresses
        .iter()
        .find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(remote) = remote
        && !layer.switch(Key::UnsafeRemoteListen)?
    {
        return Err(EgressError::RemoteListen {
            at: layer.place(key),
            address: remote.to_string(),
        }
        .into());
    }
    if paths.is_empty() && layer.explicit(Key::EgressSocketMode).is_some() {
        return Err(Error::Excluded {
            at: layer.place(Key::EgressSocketMode),
            other: "a listen without a Unix socket".to_owned(),
            remedy: "write listen = \"unix:/PATH\", or remove it",
        });
    }
    Ok(listener::Settings {
        name: name.to_owned(),
        setting: "--egress-listen (egress.listen)",
        addresses,
        unix: UnixSockets {
            paths,
            mode: mode(layer)?,
        },
        max_connections: layer.count(Key::EgressMaxConnections)?,
        loopback_connections: None,
        backlog: layer.count::<u16>(Key::EgressBacklog)?.into(),
    })
}

/// A stream that a server cut short ends in a reset, which only TCP has; HTTP says itself where a response ends.
pub(super) fn of_protocol(
    layer: &Layer,
    socket: &listener::Settings,
    egress: &Settings,
) -> Result<(), Error> {
    if socket.unix.paths.is_empty() || egress.protocol == Protocol::Http {
        return Ok(());
    }
    Err(Error::Excluded {
        at: layer.place(Key::EgressListen),
        other: "protocol `tcp`".to_owned(),
        remedy: "a Unix socket has no reset, so that a stream which was cut would look whole; write protocol = \"http\" without a capture, or listen on 127.0.0.1",
    })
}

fn mode(layer: &Layer) -> Result<u32, Error> {
    let key = Key::EgressSocketMode;
    let written = layer.text(key)?;
    let octal = written.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(&written, 8).ok();
    let mode = mode.filter(|mode| octal && *mode <= 0o777 && *mode & 0o600 == 0o600);
    mode.ok_or_else(|| Error::Unusable {
        at: layer.place(key),
        problem: format!(
            "`{}` is no mode of a socket: write octal digits from 0600 to 0777, such as 0660",
            Shown::from(written.as_str())
        ),
    })
}
