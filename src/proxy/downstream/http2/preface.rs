//! The beginning of a client's connection: its preface (RFC 9113 §3.4), or why there is none.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use h2::server::{Builder, Connection};
use tokio::time::timeout;

use crate::io::ClientStream;
use crate::proxy::arrival::overdue;
use crate::proxy::codec::h2::write_coalescer::CoalescingWriter;
use crate::proxy::context::Context;
use crate::proxy::error::Outcome;

/// Waits for the preface. A client that begins with something else, or stops in it, is a log line.
pub(super) async fn begun<S: ClientStream>(
    builder: &Builder,
    stream: CoalescingWriter<S>,
    context: &Context,
) -> Result<Connection<CoalescingWriter<S>, Bytes>, Outcome> {
    let heard = stream.heard();
    let preface = timeout(context.settings.head_timeout, builder.handshake(stream));
    let preface = tokio::select! {
        biased;
        preface = preface => preface,
        () = context.activity.shed() => return Err(Outcome::Shed),
        // It asked for nothing: a drain does not wait for it.
        () = overdue(&context.drain) => return Err(Outcome::Drained),
    };
    match preface {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if error.is_io() => Err(Outcome::ClientGone),
        Ok(Err(_)) => {
            context.connection_refused(&"no preface of HTTP/2");
            Err(Outcome::ProtocolError)
        }
        Err(_) => {
            if heard.load(Ordering::Relaxed) {
                context.connection_refused(&"its preface was not complete in time");
            }
            Err(Outcome::Timeout)
        }
    }
}
