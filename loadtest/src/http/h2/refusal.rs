//! Requests that a peer does not take over HTTP/2: those it refuses before it has them whole, and those that come when it is
//! ending the connection.

use std::io;

use h2::Reason;
use h2::client::ResponseFuture;
use http::response::Parts;

use crate::http::grpc::check_status;

/// Whether a request was not processed because the peer has announced the end of the connection: GOAWAY with NO_ERROR, and a
/// last stream before this one (RFC 9113, section 6.8).
pub fn was_too_late(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.is_some_and(is_announced)
}

/// Whether the peer ends the connection in order.
pub(super) fn is_announced(error: &h2::Error) -> bool {
    error.is_go_away() && error.is_remote() && error.reason() == Some(Reason::NO_ERROR)
}

/// The response of a peer that takes no more of a request, or why there is none: `error` where it is no refusal.
pub(super) async fn refusal(response: ResponseFuture, error: io::Error) -> io::Result<Parts> {
    let (head, _) = response.await.map_err(io::Error::other)?.into_parts();
    if head.status.is_success() && !head.headers.contains_key("grpc-status") {
        return Err(error);
    }
    Ok(head)
}

/// A call that was refused before its message was taken.
pub(super) fn refused_call(head: &Parts) -> io::Error {
    match check_status(&head.headers, None) {
        Err(status) => status,
        Ok(()) => io::Error::other(format!("the call was answered {}", head.status.as_u16())),
    }
}
