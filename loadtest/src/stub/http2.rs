//! The same model server over HTTP/2 with prior knowledge (RFC 9113, section 3.3), the way a proxy forwards gRPC:
//! calls of `/hybridge.demo.Echo/` give every message back, blobs and the sink are those of HTTP/1.1.

use std::io::{self, Cursor};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::small::SMALL;
use crate::http::h2::{next, send, send_filler};

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const WINDOW: u32 = 1024 * 1024;
const STREAMS: u32 = 1000;

/// Responds to the requests of one connection until it closes; `ahead` was read from it before.
pub(super) async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    ahead: Vec<u8>,
) -> io::Result<()> {
    let (read, write) = tokio::io::split(stream);
    let stream = tokio::io::join(Cursor::new(ahead).chain(read), write);
    let mut connection = h2::server::Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_concurrent_streams(STREAMS)
        .handshake(stream)
        .await
        .map_err(io::Error::other)?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted.map_err(io::Error::other)?;
        // A stream that breaks off is the client's business.
        tokio::spawn(async move { respond_to(request, respond).await.ok() });
    }
    Ok(())
}

async fn respond_to(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> io::Result<()> {
    let (head, mut body) = request.into_parts();
    let path = head.uri.path();
    if path.starts_with("/hybridge.demo.Echo/") {
        return echo(body, respond).await;
    }
    let mut received = 0;
    while let Some(data) = next(&mut body).await? {
        received += data.len() as u64;
    }
    if let Some(length) = path.strip_prefix("/blob/") {
        return match length.parse() {
            Ok(length) => blob(respond, length).await,
            Err(_) => refuse(&mut respond, StatusCode::BAD_REQUEST),
        };
    }
    if path == "/v1/chat/completions" {
        // Token streams are measured over HTTP/1.1.
        return refuse(&mut respond, StatusCode::NOT_IMPLEMENTED);
    }
    let text = if path == "/sink" {
        format!("{received}\n")
    } else {
        SMALL.to_owned()
    };
    let mut stream = respond
        .send_response(ok("application/json"), false)
        .map_err(io::Error::other)?;
    send(&mut stream, text.into(), true).await
}

/// Gives the messages back as they come, whole or not, and ends the call well.
async fn echo(mut body: RecvStream, mut respond: SendResponse<Bytes>) -> io::Result<()> {
    let mut stream = respond
        .send_response(ok("application/grpc"), false)
        .map_err(io::Error::other)?;
    while let Some(data) = next(&mut body).await? {
        send(&mut stream, data, false).await?;
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers).map_err(io::Error::other)
}

async fn blob(mut respond: SendResponse<Bytes>, length: u64) -> io::Result<()> {
    let mut head = ok("application/octet-stream");
    head.headers_mut().insert("content-length", length.into());
    let stream = respond
        .send_response(head, length == 0)
        .map_err(io::Error::other)?;
    send_filler(stream, length).await
}

fn refuse(respond: &mut SendResponse<Bytes>, status: StatusCode) -> io::Result<()> {
    let mut head = Response::new(());
    *head.status_mut() = status;
    respond
        .send_response(head, true)
        .map(|_| ())
        .map_err(io::Error::other)
}

fn ok(kind: &'static str) -> Response<()> {
    let mut head = Response::new(());
    let kind = HeaderValue::from_static(kind);
    head.headers_mut().insert("content-type", kind);
    head
}
