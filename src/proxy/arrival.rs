//! Before the handshake: what a proxy in front says of the connection that it forwards.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, sleep, timeout_at};

use crate::drain::{Phase, PhaseWait, Watch};
use crate::listener::Activity;
use crate::proxy::error::Outcome;
use crate::proxy_protocol::{self, Addresses};
use crate::tls::error::HandshakeError;

/// How long a connection on which nothing was sent yet may still begin when a drain meets it.
const GRACE: Duration = Duration::from_secs(1);

/// Ends when a drain has waited long enough for the first byte of a connection.
pub(super) fn overdue(drain: &Watch) -> impl Future<Output = ()> + use<> {
    let drained = drain.reached(Phase::Draining);
    async {
        drained.await;
        sleep(GRACE).await;
    }
}

/// Reads the header of the PROXY protocol that must come first, until then; what it says, and what came
/// behind it.
pub(super) async fn proxy_header<IO: AsyncRead + Unpin>(
    io: &mut IO,
    deadline: Instant,
) -> Result<(Option<Addresses>, BytesMut), HandshakeError> {
    let mut received = BytesMut::new();
    let reading = async {
        loop {
            let header = proxy_protocol::read(&received).map_err(HandshakeError::ProxyHeader)?;
            if let Some(header) = header {
                return Ok(header);
            }
            // Enough for most headers and hellos; a header that announces more has more reads.
            received.reserve(2048);
            match io.read_buf(&mut received).await {
                Ok(0) | Err(_) if received.is_empty() => return Err(HandshakeError::NoHello),
                Ok(0) | Err(_) => return Err(HandshakeError::Vanished),
                Ok(_) => {}
            }
        }
    };
    let header = match timeout_at(deadline, reading).await {
        Ok(header) => header?,
        Err(_) => return Err(HandshakeError::Timeout),
    };
    received.advance(header.length);
    Ok((header.addresses, received))
}

/// What comes of work before the handshake's end, or why the connection has to end first.
pub(super) async fn before_end<F: Future>(
    mut work: Pin<Box<F>>,
    cut: &mut PhaseWait,
    activity: &Activity,
) -> Result<F::Output, Outcome> {
    tokio::select! {
        biased;
        () = cut => Err(Outcome::Cut),
        done = &mut work => Ok(done),
        () = activity.shed() => Err(Outcome::Shed),
    }
}
