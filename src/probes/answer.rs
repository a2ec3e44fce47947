//! The app's response to an HTTP probe: its status, where a redirect leads, and what is still to come.

use bytes::{Buf, BytesMut};
use httparse::{Header, ParserConfig, Response, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::body::{Framing, Rest, framing};
use super::error::CheckError;
use super::redirect::is_redirect;

/// A longer response head is a failure.
const HEAD_LIMIT: usize = 128 << 10;
/// More header lines are a failure too.
const MOST_HEADERS: usize = 1024;

/// The response as far as it counts.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where a redirect leads, if it says so.
    pub(super) location: Option<Vec<u8>>,
    pub(super) rest: Rest,
}

/// Sends a request and reads the head of the response.
pub(super) async fn get(mut stream: TcpStream, request: &str) -> Result<Answer, CheckError> {
    stream.write_all(request.as_bytes()).await?;
    let mut received = BytesMut::with_capacity(1024);
    while received.len() < HEAD_LIMIT {
        if stream.read_buf(&mut received).await? == 0 {
            break;
        }
        if let Some(head) = head_of(&received)? {
            received.advance(head.length);
            return Ok(Answer {
                status: head.status,
                location: head.location,
                rest: Rest {
                    stream,
                    received,
                    framing: head.framing,
                },
            });
        }
    }
    Err(CheckError::NotHttp)
}

struct Head {
    /// With the interim ones before it.
    length: usize,
    status: u16,
    location: Option<Vec<u8>>,
    framing: Framing,
}

/// The final head, once it is there; interim ones come before it (RFC 9110 §15.2).
fn head_of(heads: &[u8]) -> Result<Option<Head>, CheckError> {
    // What does not decide is no reason to fail: net/http is no stricter.
    let mut config = ParserConfig::default();
    config
        .allow_multiple_spaces_in_response_status_delimiters(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .ignore_invalid_headers_in_responses(true);
    let mut length = 0;
    loop {
        let mut headers = vec![httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = Response::new(&mut headers);
        let heads = heads.get(length..).unwrap_or_default();
        match config.parse_response(&mut response, heads) {
            Ok(Status::Complete(head)) => length += head,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(CheckError::NotHttp),
        }
        let status = response.code.ok_or(CheckError::NotHttp)?;
        if matches!(status, 100 | 102..=199) {
            continue;
        }
        return Ok(Some(Head {
            length,
            status,
            location: location(status, response.headers),
            framing: framing(status, response.version, response.headers)?,
        }));
    }
}

/// A redirect without a location counts as it is (net/http).
fn location(status: u16, headers: &[Header<'_>]) -> Option<Vec<u8>> {
    let mut headers = headers.iter().filter(|_| is_redirect(status));
    let location = headers.find(|h| h.name.eq_ignore_ascii_case("location"))?;
    let location = location.value.trim_ascii();
    (!location.is_empty()).then(|| location.to_vec())
}
