//! One HTTP/1.1 connection to the collector, kept while it works.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use prometheus::IntCounter;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use super::endpoint::Endpoint;
use crate::build::VERSIONS;
use crate::io::explained;
use crate::listener::Accepting;
use crate::metrics::SpanMetrics;
use crate::panics;
use crate::tls::client::{self, ClientTls, Counters};

/// The collector's response is a few bytes; more of it is not read.
const MAX_ANSWER: usize = 64 * 1024;

/// The connection to a collector.
pub(super) struct Client {
    endpoint: Endpoint,
    tls: Option<Arc<ClientTls>>,
    counters: Counters,
    panics: IntCounter,
    open: Option<SendRequest<Full<Bytes>>>,
    /// Where our listeners accept: a request there with spans would make spans.
    accepting: Arc<Accepting>,
}

/// Why a batch did not arrive.
#[derive(Debug, Error)]
pub(super) enum PostError {
    /// No connection, or no whole response.
    #[error("{0}")]
    Unreachable(String),
    /// The collector has no time for it (OTLP specification, "Retryable Response Codes").
    #[error("it has no time: status {}", .0.as_u16())]
    Busy(StatusCode),
    /// The collector does not want it.
    #[error("it refuses them: status {}", .0.as_u16())]
    Refused(StatusCode),
}

impl Client {
    pub(super) fn new(
        endpoint: &Endpoint,
        tls: Option<Arc<ClientTls>>,
        metrics: &SpanMetrics,
        accepting: &Arc<Accepting>,
    ) -> Self {
        Self {
            endpoint: endpoint.clone(),
            tls,
            counters: Counters::of(|| metrics.unscraped.clone()),
            panics: metrics.panics.clone(),
            open: None,
            accepting: Arc::clone(accepting),
        }
    }

    /// Sends a batch; what the collector says to it. A call that is dropped drops its connection.
    pub(super) async fn post(&mut self, body: Bytes) -> Result<Bytes, PostError> {
        // One that the collector has closed meanwhile is no failure.
        if let Some(mut sender) = self.open.take()
            && sender.ready().await.is_ok()
            && let Some(answered) = self.ask(sender, body.clone()).await
        {
            return answered;
        }
        let sender = self.connect().await.map_err(PostError::Unreachable)?;
        let answered = self.ask(sender, body).await;
        answered.unwrap_or_else(|| {
            let why = "it closed the connection before it answered";
            Err(PostError::Unreachable(why.to_owned()))
        })
    }

    /// `None`: the connection ended without an answer.
    async fn ask(
        &mut self,
        mut sender: SendRequest<Full<Bytes>>,
        body: Bytes,
    ) -> Option<Result<Bytes, PostError>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.target().parse().ok()?;
        let agent = format!("hybridge/{}", VERSIONS.hybridge);
        for (name, value) in [
            (HOST, self.endpoint.authority()),
            (CONTENT_TYPE, "application/x-protobuf".to_owned()),
            (USER_AGENT, agent),
        ] {
            request.headers_mut().insert(name, value.parse().ok()?);
        }
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        let body = body.collect().await.map(Collected::to_bytes);
        if body.is_ok() {
            self.open = Some(sender);
        }
        Some(match status.as_u16() {
            200..=299 => Ok(body.unwrap_or_default()),
            429 | 502..=504 => Err(PostError::Busy(status)),
            _ => Err(PostError::Refused(status)),
        })
    }

    /// The first of its addresses that answers, unless one of them is our own.
    async fn reach(&self, host: &str) -> Result<TcpStream, String> {
        let failed = |error: io::Error| format!("no connection: {error}");
        let own = |address: SocketAddr| {
            format!(
                "{address} is an address that a listener of this process accepts on: each request with spans would make spans; name the collector itself in traces.endpoint"
            )
        };
        let addresses = lookup_host((host, self.endpoint.port())).await;
        let mut last = "no connection: its name has no address".to_owned();
        for address in addresses.map_err(failed)? {
            if self.accepting.meets(address) {
                return Err(own(address));
            }
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => {
                    last = failed(explained(error));
                    continue;
                }
            };
            let from = stream.local_addr().map_err(failed)?;
            if self.accepting.is_at(address, from) {
                return Err(own(address));
            }
            return Ok(stream);
        }
        Err(last)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let host = self.endpoint.host();
        let stream = self.reach(host).await?;
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            return self.begin(stream).await;
        };
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| "its host is no name of a certificate".to_owned())?;
        let peer = tls.peer(&self.endpoint.authority(), name, None);
        let secured = client::connect(stream, peer, self.counters.clone()).await;
        let (stream, _) = secured.map_err(|failure| failure.error.to_string())?;
        self.begin(stream).await
    }

    async fn begin<IO>(&self, stream: IO) -> Result<SendRequest<Full<Bytes>>, String>
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let begun = handshake(TokioIo::new(stream)).await;
        let (sender, connection) = begun.map_err(|error| error.to_string())?;
        let panics = self.panics.clone();
        // Its error is that of the request.
        panics::spawn(connection.map(drop), move || panics.inc());
        Ok(sender)
    }
}
