//! CONNECT (RFC 9110 section 9.3.6), by the strict reader of heads: as an app speaks it to a forward proxy, and
//! as one hybridge asks another for a port of its pod.

use std::fmt::Write as _;
use std::future::poll_fn;

use bytes::Bytes;

use crate::io::Duplex;
use crate::proxy::codec::h1::connection::{H1, ReadError};
use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::codec::h1::request::{absolute_authority, validate_connect};
use crate::proxy::codec::message::{Framing, MessageError, MessageStream as _};
use crate::proxy::origin::Target;

/// As for every request of an app.
const LONGEST_HEAD: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;
const MALFORMED: &str = "the head is malformed";

/// What comes of a client's first head.
pub(crate) enum Asked {
    /// A tunnel to this target; the response is owed.
    For(Target),
    /// A request in absolute form, which is still to be read, to this target.
    Request(Target),
    /// A request that is not for a proxy.
    Origin,
    /// Something else, with the response that says so.
    Else(u16, &'static str),
    /// The client went away.
    Gone,
}

/// Reads a client's first head.
pub(crate) async fn asked<S: Duplex>(app: &mut H1<S>) -> Asked {
    let length = match poll_fn(|cx| app.poll_head(cx, LONGEST_HEAD)).await {
        Ok(length) => length,
        Err(ReadError::Head(HeadError::TooLarge)) => {
            return Asked::Else(431, "the head is too large");
        }
        Err(ReadError::Head(error)) => return Asked::Else(error.status(), MALFORMED),
        Err(ReadError::Closed | ReadError::Broken) => return Asked::Gone,
    };
    let asked = parse(app.head(length));
    if matches!(asked, Asked::Request(_)) {
        return asked;
    }
    app.start_body(length, Framing::None);
    asked
}

fn parse(head: &[u8]) -> Asked {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Asked::Else(431, "too many fields"),
        _ => return Asked::Else(400, MALFORMED),
    }
    if request.method != Some("CONNECT") {
        return match request.path.and_then(absolute_authority) {
            Some(authority) => match authority_target(authority) {
                Some(target) => Asked::Request(target),
                None if authority.contains('@') => Asked::Else(
                    400,
                    "a user and a password before the host are not taken: send them in a field of the request",
                ),
                None => Asked::Else(400, "the target has no HOST or HOST:PORT"),
            },
            None => Asked::Origin,
        };
    }
    if let Err(error) = validate_connect(&request) {
        let reason = match error {
            HeadError::ConnectBody => "a CONNECT has no body",
            HeadError::Host => "a missing, repeated or malformed host",
            _ => MALFORMED,
        };
        return Asked::Else(400, reason);
    }
    let target = request.path.and_then(|path| path.parse().ok());
    target.map_or(Asked::Else(400, "the target is not HOST:PORT"), Asked::For)
}

/// The target of a URL: without a port it is that of https, because TLS is what goes there.
pub(crate) fn authority_target(authority: &str) -> Option<Target> {
    let has_port = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'));
    if has_port {
        authority.parse().ok()
    } else {
        format!("{authority}:443").parse().ok()
    }
}

/// Says that the tunnel stands: what follows are its bytes.
pub(crate) fn established<S: Duplex>(app: &mut H1<S>) {
    app.queue(Bytes::from_static(
        b"HTTP/1.1 200 Connection established\r\n\r\n",
    ));
}

/// Refuses; `reason` is for people and programs.
pub(crate) async fn refuse<S: Duplex>(
    app: &mut H1<S>,
    status: u16,
    reason: &str,
) -> Result<(), MessageError> {
    let mut response = format!("HTTP/1.1 {status} {}\r\n", phrase(status));
    let _ = write!(
        response,
        "connection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{reason}\n",
        reason.len() + 1
    );
    app.queue(response.into());
    poll_fn(|cx| app.poll_flush(cx)).await
}

fn phrase(status: u16) -> &'static str {
    let status = http::StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Refused")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_with_a_body_is_refused() {
        for field in ["content-length: 5", "Transfer-Encoding: chunked"] {
            let head = format!("CONNECT train:443 HTTP/1.1\r\nhost: train:443\r\n{field}\r\n\r\n");
            assert!(
                matches!(parse(head.as_bytes()), Asked::Else(400, _)),
                "{field}"
            );
        }
        let head = b"CONNECT train:443 HTTP/1.1\r\nhost: train:443\r\n\r\n";
        assert!(matches!(parse(head), Asked::For(_)));
    }

    #[test]
    fn a_connect_has_one_valid_host() {
        for (version, fields, taken) in [
            ("1.1", "host: train:443\r\n", true),
            ("1.1", "Host:\r\n", true),
            ("1.0", "", true),
            ("1.1", "", false),
            ("1.1", "host: a\r\nhost: a\r\n", false),
            ("1.0", "host: a\r\nhost: b\r\n", false),
            ("1.1", "host: a b\u{80}\r\n", false),
            ("1.0", "host: a/b\r\n", false),
        ] {
            let head = format!("CONNECT train:443 HTTP/{version}\r\n{fields}\r\n");
            let asked = parse(head.as_bytes());
            if taken {
                assert!(matches!(asked, Asked::For(_)), "{fields}");
            } else {
                assert!(matches!(asked, Asked::Else(400, _)), "{fields}");
            }
        }
    }

    #[test]
    fn a_url_names_a_target_of_tls() {
        for (authority, expected) in [
            ("a.org", Some("a.org:443")),
            ("A.org:9000", Some("a.org:9000")),
            ("[2001:db8::7]", Some("[2001:db8::7]:443")),
            ("[2001:db8::7]:80", Some("[2001:db8::7]:80")),
            ("user@a.org", None),
            ("a.org:", None),
            ("", None),
        ] {
            let target = authority_target(authority).map(|target| target.to_string());
            assert_eq!(target.as_deref(), expected, "{authority}");
        }
    }
}
