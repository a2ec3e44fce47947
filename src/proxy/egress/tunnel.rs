//! The near end of a tunnel: inside TLS the far side is asked for the host and port that the app named, and the
//! app hears what it says.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::proxy::codec::h1::connection::{H1, ReadError};
use crate::proxy::codec::h1::request::no_fields;
use crate::proxy::codec::h1::response::ResponseHead;
use crate::proxy::codec::message::{Frame, Framing, MessageStream as _};
use crate::proxy::origin::{OriginError, ServerStream, Target};
use crate::proxy::round_trip::Interim;
use crate::redact::is_printable;

/// How long the far side may take: its own attempt to connect is among it.
const PATIENCE: Duration = Duration::from_secs(15);
/// For a polite end of what was refused.
const FAREWELL: Duration = Duration::from_secs(1);
const LONGEST_HEAD: usize = 16 * 1024;
/// Of what a far side says of a refusal.
const LONGEST_CAUSE: usize = 300;

/// Asks the far side for `named`; from then on the stream is the app's.
pub(super) async fn open(
    server: &mut H1<ServerStream>,
    named: &Target,
    far: SocketAddr,
) -> Result<(), OriginError> {
    let refused = |status: u16, cause: String| OriginError::TunnelRefused {
        named: named.to_string(),
        far,
        status,
        cause,
    };
    let head = format!("CONNECT {named} HTTP/1.1\r\nhost: {named}\r\n\r\n");
    server.queue(Bytes::from(head));
    match timeout(PATIENCE, response(server)).await {
        Ok(Ok(())) => {
            server.start_tunnel();
            Ok(())
        }
        Ok(Err((status, cause))) => {
            let _ = timeout(FAREWELL, server.stream_mut().shutdown()).await;
            Err(refused(status, cause))
        }
        Err(_) => Err(refused(504, "no response in time".to_owned())),
    }
}

/// Sends the request and reads what comes; the status of a refusal, and why.
async fn response(server: &mut H1<ServerStream>) -> Result<(), (u16, String)> {
    let broken = |cause: &str| (502, cause.to_owned());
    let sent = poll_fn(|cx| server.poll_flush(cx)).await;
    sent.map_err(|error| broken(&error.to_string()))?;
    let mut passed = Interim::default();
    let (length, status, framing) = loop {
        let length = poll_fn(|cx| server.poll_head(cx, LONGEST_HEAD)).await;
        let length = length.map_err(|error| match error {
            ReadError::Closed | ReadError::Broken => broken("it ended the connection"),
            ReadError::Head(error) => broken(&error.to_string()),
        })?;
        let mut fields = no_fields();
        let head = ResponseHead::parse(server.head(length), &mut fields, false);
        let head = head.map_err(|error| broken(&error.to_string()))?;
        let (status, framing) = (head.status, head.framing);
        // A switch of protocols is no interim response, and was not asked for.
        if !(100..200).contains(&status) || status == 101 {
            break (length, status, framing);
        }
        passed
            .count(length)
            .map_err(|error| broken(&error.to_string()))?;
        server.start_body(length, Framing::None);
    };
    if (200..300).contains(&status) {
        // No body, whatever the head says (RFC 9110 section 9.3.6).
        server.start_body(length, Framing::None);
        return Ok(());
    }
    server.start_body(length, framing);
    let said = match poll_fn(|cx| server.poll_frame(cx)).await {
        Ok(Some(Frame::Data(said))) => printable(&said),
        _ => String::new(),
    };
    Err((status, said))
}

/// The first line of what a far side says, for a log line.
fn printable(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let line = said.lines().next().unwrap_or_default();
    let shown = line.chars().filter(|c| is_printable(*c));
    shown.take(LONGEST_CAUSE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_far_side_says_is_one_line_of_text() {
        assert_eq!(printable(b"no\x1b[2J way\r\nsecret"), "no[2J way");
        assert_eq!(printable("a\u{202e}b\u{2066}c".as_bytes()), "abc");
        assert_eq!(printable(&[b'x'; 5000]).len(), LONGEST_CAUSE);
        assert_eq!(printable(b""), "");
    }
}
