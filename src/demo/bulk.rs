//! `/blob/<bytes>` and `/sink`: bodies of any size down and up, never held in memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use serde_json::json;

use super::reply::{EVIDENCE, Refusal, Reply, evidence, json, streamed, typed};

/// What a path to a blob starts with.
pub(super) const BLOB: &str = "/blob/";
/// 64 GiB.
const MAX_BLOB: u64 = 64 << 30;
const PIECE: usize = 64 * 1024;
static ZEROS: [u8; PIECE] = [0; PIECE];

/// Responds with as many zero bytes as the path names.
pub(super) fn blob(path: &str) -> Result<Reply, Refusal> {
    let size = path.strip_prefix(BLOB).unwrap_or_default();
    let left = size.parse().ok().filter(|size| *size <= MAX_BLOB);
    let left = left.ok_or_else(|| {
        Refusal::bad(format!(
            "`{size}` is not a number of bytes from 0 to {MAX_BLOB}"
        ))
    })?;
    Ok(typed("application/octet-stream", streamed(Zeros { left })))
}

/// Reads an upload to its end and says how long it was.
pub(super) async fn sink(request: Request<Incoming>) -> Result<Reply, Refusal> {
    if !matches!(*request.method(), Method::POST | Method::PUT) {
        return Ok(Refusal::method("POST, PUT"));
    }
    let group = evidence(&request);
    let mut body = request.into_body();
    let mut bytes = 0_u64;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::bad("the body broke off"))?;
        bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(json(
        StatusCode::OK,
        &json!({ "bytes": bytes, EVIDENCE: group }),
    ))
}

struct Zeros {
    left: u64,
}

impl Body for Zeros {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        self.left -= size as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&ZEROS[..size])))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
