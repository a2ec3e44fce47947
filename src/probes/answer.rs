//! The app's response to an HTTP probe: its status, and where a redirect leads.

use bytes::BytesMut;
use httparse::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::CheckError;
use super::redirect::is_redirect;

/// A longer response head is a failure.
const HEAD_LIMIT: usize = 16 << 10;
/// Header lines of a redirect, among which the location is looked for.
const REDIRECT_HEADERS: usize = 1024;

/// The response as far as it counts.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Where a redirect leads, if it says so.
    pub(super) location: Option<Vec<u8>>,
}

/// Sends a request and reads the response as far as it counts.
pub(super) async fn get(mut stream: TcpStream, request: &str) -> Result<Answer, CheckError> {
    stream.write_all(request.as_bytes()).await?;
    let mut head = BytesMut::with_capacity(1024);
    while head.len() < HEAD_LIMIT {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
        if let Some(answer) = answer_of(&head)? {
            return Ok(answer);
        }
    }
    Err(CheckError::NotHttp)
}

/// The final response, once its first line is complete, or all of its head if it is a redirect; interim ones
/// come before it (RFC 9110 §15.2).
fn answer_of(mut heads: &[u8]) -> Result<Option<Answer>, CheckError> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(heads);
        match (response.code, parsed) {
            (Some(100 | 102..=199), Ok(Status::Complete(length))) => {
                heads = heads.get(length..).unwrap_or_default();
            }
            (Some(100 | 102..=199), Ok(Status::Partial)) => return Ok(None),
            (Some(status), _) if is_redirect(status) => return redirect_of(heads, status),
            // What follows the status line does not matter, and some heads have many lines.
            (code, Ok(_) | Err(httparse::Error::TooManyHeaders)) => {
                return Ok(code.map(|status| Answer {
                    status,
                    location: None,
                }));
            }
            (_, Err(_)) => return Err(CheckError::NotHttp),
        }
    }
}

/// A redirect without a location counts as it is (net/http).
fn redirect_of(head: &[u8], status: u16) -> Result<Option<Answer>, CheckError> {
    let mut headers = vec![httparse::EMPTY_HEADER; REDIRECT_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(head) {
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(CheckError::NotHttp),
        Ok(Status::Complete(_)) => {
            let mut headers = response.headers.iter();
            let location = headers.find(|h| h.name.eq_ignore_ascii_case("location"));
            let location = location.map(|h| h.value.trim_ascii().to_vec());
            Ok(Some(Answer {
                status,
                location: location.filter(|value| !value.is_empty()),
            }))
        }
    }
}
