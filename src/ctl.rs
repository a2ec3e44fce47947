//! `hybridge ctl`: a call to the admin port of the same host or pod. Images have no shell and no
//! curl, so the binary is its own client.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Collected, Empty, Limited};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;

use crate::cli::Action;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 64 * 1024;

/// Why an order was not carried out.
#[derive(Debug, Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("admin port {admin}: {source}: is the sidecar running, and is --admin right?")]
    Unreachable {
        /// Where it was looked for.
        admin: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something answered that is no admin port.
    #[error("admin port {admin}: {source}")]
    Http {
        /// Where it was looked for.
        admin: SocketAddr,
        /// What was wrong with the answer.
        source: hyper::Error,
    },
    /// It runs, and says that it is not ready.
    #[error("{message}")]
    NotReady {
        /// What it says, with reasons.
        message: String,
    },
    /// The sidecar refuses.
    #[error("admin port {admin}: {status}: {message}")]
    Refused {
        /// Where it was looked for.
        admin: SocketAddr,
        /// HTTP status.
        status: u16,
        /// What the sidecar says.
        message: String,
    },
    /// No answer in time.
    #[error("admin port {admin}: no answer within {seconds} s", seconds = TIMEOUT.as_secs())]
    Timeout {
        /// Where it was looked for.
        admin: SocketAddr,
    },
}

/// Gives an order and waits until it is accepted, or asks whether the sidecar is ready.
pub fn order(admin: SocketAddr, action: Action) -> Result<(), Error> {
    let unreachable = |source| Error::Unreachable { admin, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(unreachable)?;
    runtime.block_on(async {
        tokio::time::timeout(TIMEOUT, ask(admin, action))
            .await
            .map_err(|_| Error::Timeout { admin })?
    })
}

async fn ask(admin: SocketAddr, action: Action) -> Result<(), Error> {
    let (method, path) = match action {
        Action::Drain => (Method::POST, "/drain"),
        Action::Ready => (Method::GET, "/readyz"),
        Action::Quit => (Method::POST, "/quit"),
    };
    let (status, message) = exchange(admin, method, path).await?;
    match (status, action) {
        (status, _) if status.is_success() => Ok(()),
        (StatusCode::SERVICE_UNAVAILABLE, Action::Ready) => Err(Error::NotReady { message }),
        (status, _) => Err(Error::Refused {
            admin,
            status: status.as_u16(),
            message,
        }),
    }
}

/// One request; the status and the text of the answer, its lines joined.
async fn exchange(
    admin: SocketAddr,
    method: Method,
    path: &'static str,
) -> Result<(StatusCode, String), Error> {
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
    let body = body.map(Collected::to_bytes).unwrap_or_default();
    let lines: Vec<_> = body.split(|byte| *byte == b'\n').collect();
    let lines = lines
        .iter()
        .map(|line| String::from_utf8_lossy(line.trim_ascii()));
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    Ok((status, lines.join("; ")))
}
