//! `hybridge ctl`: a call to the admin port of the same host or pod. Images have no shell and no
//! curl, so the binary is its own client.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;

use crate::cli::Action;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

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

/// Gives an order and waits until it is accepted.
pub fn order(admin: SocketAddr, action: Action) -> Result<(), Error> {
    let unreachable = |source| Error::Unreachable { admin, source };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(unreachable)?;
    runtime.block_on(async {
        tokio::time::timeout(TIMEOUT, post(admin, action))
            .await
            .map_err(|_| Error::Timeout { admin })?
    })
}

async fn post(admin: SocketAddr, action: Action) -> Result<(), Error> {
    let path = match action {
        Action::Drain => "/drain",
        Action::Ready => "/ready",
        Action::Quit => "/quit",
    };
    let stream = TcpStream::connect(admin)
        .await
        .map_err(|source| Error::Unreachable { admin, source })?;
    let http = |source| Error::Http { admin, source };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(http)?;
    tokio::spawn(connection);
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(path);
    if let Ok(host) = admin.to_string().parse() {
        request.headers_mut().insert(http::header::HOST, host);
    }
    let response = sender.send_request(request).await.map_err(http)?;
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(http)?
        .to_bytes();
    if status.is_success() {
        return Ok(());
    }
    Err(Error::Refused {
        admin,
        status: status.as_u16(),
        message: String::from_utf8_lossy(&body).trim().to_owned(),
    })
}
