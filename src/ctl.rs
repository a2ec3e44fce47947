//! `hybridge ctl`: a call to the admin port of the same host or pod. Images have no shell and no
//! curl, so the binary is its own client.

mod census;
mod error;
mod posture;

use std::io::Write;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

pub use self::error::Error;
use self::error::{MAX_ANSWER, TIMEOUT};
use crate::cli::Action;
use crate::redact::one_line;
use crate::worker;

/// Characters of a refusal that are shown: the reasons why a sidecar is not ready, with their paths.
const MAX_MESSAGE: usize = 4000;

/// Gives an order and waits until it is accepted, or writes what was asked for.
pub fn call(admin: SocketAddr, action: &Action, out: &mut impl Write) -> Result<(), Error> {
    match action {
        Action::Drain => {
            order(admin, Method::POST, "/drain")?;
            Ok(writeln!(
                out,
                "draining: not ready; the process stays until `hybridge ctl quit` or SIGTERM"
            )?)
        }
        Action::Ready => order(admin, Method::GET, "/readyz"),
        Action::Quit => {
            order(admin, Method::POST, "/quit")?;
            Ok(writeln!(
                out,
                "ending: open requests finish first; a second quit ends at once"
            )?)
        }
        Action::Census(args) => census::write(page(admin, "/census")?, args, out),
        Action::Cbom(args) => posture::write(&page(admin, "/status")?, args.cbom_version, out),
    }
}

/// What is not ready is no failure of the call.
fn order(admin: SocketAddr, method: Method, path: &'static str) -> Result<(), Error> {
    let asks = method == Method::GET;
    match request(admin, method, path)? {
        (status, _) if status.is_success() => Ok(()),
        (StatusCode::SERVICE_UNAVAILABLE, body) if asks => Err(Error::NotReady {
            message: joined(&body),
        }),
        (status, body) => Err(refused(admin, status, &body)),
    }
}

/// A page as the type that it is.
fn page<T: DeserializeOwned>(admin: SocketAddr, path: &'static str) -> Result<T, Error> {
    match request(admin, Method::GET, path)? {
        (StatusCode::OK, body) => {
            let wrong = |source| Error::Page {
                admin,
                path,
                source,
            };
            serde_json::from_slice(&body).map_err(wrong)
        }
        (status, body) => Err(refused(admin, status, &body)),
    }
}

fn refused(admin: SocketAddr, status: StatusCode, body: &[u8]) -> Error {
    Error::Refused {
        admin,
        status: status.as_u16(),
        message: joined(body),
    }
}

/// The answer to one request, in time.
fn request(
    admin: SocketAddr,
    method: Method,
    path: &'static str,
) -> Result<(StatusCode, Bytes), Error> {
    let unreachable = |source| Error::Unreachable { admin, source };
    let runtime = worker::runtime().map_err(unreachable)?;
    worker::run(runtime, async {
        tokio::time::timeout(TIMEOUT, exchange(admin, method, path))
            .await
            .map_err(|_| Error::Timeout { admin })?
    })
}

/// One request; the status and the body of the answer.
async fn exchange(
    admin: SocketAddr,
    method: Method,
    path: &'static str,
) -> Result<(StatusCode, Bytes), Error> {
    let stream = TcpStream::connect(admin)
        .await
        .map_err(|source| Error::Unreachable { admin, source })?;
    let http = |source| Error::Http { admin, source };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(http)?;
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::from_static(path);
    if let Ok(host) = admin.to_string().parse() {
        request.headers_mut().insert(http::header::HOST, host);
    }
    let response = sender.send_request(request).await.map_err(http)?;
    let status = response.status();
    // A stranger on that port must not fill the memory.
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await;
    match body {
        Ok(body) => Ok((status, body.to_bytes())),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge { admin, path }),
        // What was ordered is done; a page without its end says so itself.
        Err(_) => Ok((status, Bytes::new())),
    }
}

/// The lines of a text as one. A stranger on that port says what it likes, so the text is short and drives no
/// terminal.
fn joined(body: &[u8]) -> String {
    let lines: Vec<_> = body.split(|byte| *byte == b'\n').collect();
    let lines = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line.trim_ascii()));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let joined = one_line(&lines.join("; "));
    match joined.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", joined.get(..end).unwrap_or_default()),
        None => joined,
    }
}
