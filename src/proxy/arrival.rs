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

/// How long what a client has begun to ask for may take then. Nothing of it was looked at, so that nothing is lost.
const GRACE_OF_A_HEAD: Duration = Duration::from_secs(5);

/// Ends when a drain has waited long enough for the first byte of a connection.
pub(crate) fn overdue(drain: &Watch) -> impl Future<Output = ()> + use<> {
    late(drain, GRACE)
}

/// Ends when a drain has waited long enough for the rest of what was begun.
pub(super) fn begun_too_late(drain: &Watch) -> impl Future<Output = ()> + use<> {
    late(drain, GRACE_OF_A_HEAD)
}

fn late(drain: &Watch, grace: Duration) -> impl Future<Output = ()> + use<> {
    let drained = drain.reached(Phase::Draining);
    async move {
        drained.await;
        sleep(grace).await;
    }
}

/// Reads the header of the PROXY protocol that must come first, until then or until a drain has waited long
/// enough; what it says, and what came behind it.
pub(super) async fn proxy_header<IO: AsyncRead + Unpin>(
    io: &mut IO,
    deadline: Instant,
    overdue: impl Future<Output = ()>,
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
    let header = tokio::select! {
        biased;
        header = timeout_at(deadline, reading) => header.map_err(|_| HandshakeError::Timeout)??,
        // As for a client that has said nothing yet: it has nothing to lose.
        () = overdue => return Err(HandshakeError::NoHello),
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
