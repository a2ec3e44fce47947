//! SOCKS5 as an app speaks it: without authentication, CONNECT only (RFC 1928).

use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::proxy::origin::{OriginError, Target};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// What is replied (RFC 1928 section 6).
#[derive(Clone, Copy)]
pub(super) enum Reply {
    Succeeded = 0,
    Failed = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    Refused = 5,
    Command = 7,
    AddressType = 8,
}

impl Reply {
    /// What an app is told of a connection that did not come about: many retry a refusal.
    pub(super) fn of(error: &OriginError) -> Self {
        match error {
            OriginError::Refused(_) => Self::Refused,
            OriginError::Resolve { .. }
            | OriginError::ResolveTimeout(_)
            | OriginError::ResolveWait(_)
            | OriginError::Unreachable(..)
            | OriginError::Timeout(_) => Self::HostUnreachable,
            OriginError::TargetRefused(_) => Self::NotAllowed,
            OriginError::TunnelRefused { .. } => match error.status() {
                403 => Self::NotAllowed,
                504 => Self::HostUnreachable,
                _ => Self::Refused,
            },
            _ => Self::Failed,
        }
    }
}

/// The target that the app names; the reply is owed. `None`: it does not speak SOCKS5, or asks for
/// something else, and was told so.
pub(super) async fn requested<S>(app: &mut S) -> std::io::Result<Option<Target>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let [version, methods] = read(app).await?;
    if version != VERSION {
        return Ok(None);
    }
    let mut offered = vec![0; methods.into()];
    app.read_exact(&mut offered).await?;
    if !offered.contains(&NO_AUTHENTICATION) {
        app.write_all(&[VERSION, NO_METHOD]).await?;
        return Ok(None);
    }
    app.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let [version, command, _, kind] = read(app).await?;
    if version != VERSION {
        return Ok(None);
    }
    let host = match kind {
        1 => Some(Ipv4Addr::from(read::<4, _>(app).await?).to_string()),
        4 => Some(format!("[{}]", Ipv6Addr::from(read::<16, _>(app).await?))),
        3 => {
            let [length] = read(app).await?;
            let mut name = vec![0; length.into()];
            app.read_exact(&mut name).await?;
            String::from_utf8(name).ok()
        }
        _ => {
            reply(app, Reply::AddressType).await?;
            return Ok(None);
        }
    };
    let port = u16::from_be_bytes(read(app).await?);
    if command != CONNECT {
        reply(app, Reply::Command).await?;
        return Ok(None);
    }
    let target = host.and_then(|host| format!("{host}:{port}").parse().ok());
    if target.is_none() {
        reply(app, Reply::HostUnreachable).await?;
    }
    Ok(target)
}

/// Tells the app what came of it. The address is none of the app's business.
pub(super) async fn reply<S: AsyncWrite + Unpin>(app: &mut S, reply: Reply) -> std::io::Result<()> {
    // 0.0.0.0:0 in the place of our end of the connection.
    app.write_all(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0])
        .await
}

async fn read<const N: usize, S: AsyncRead + Unpin>(app: &mut S) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    app.read_exact(&mut bytes).await?;
    Ok(bytes)
}
