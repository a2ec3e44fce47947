//! HTTP/2 requests and gRPC calls over one counted connection (RFC 9113; gRPC over HTTP/2, length-prefixed
//! messages and `grpc-status` in the trailers).

mod refusal;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

use super::grpc::{Messages, check_status, frame};
use crate::net::socket::Socket;
use crate::net::stream::Stream;
pub use refusal::was_too_late;
use refusal::{is_announced, refusal, refused_call};

const WINDOW: u32 = 1024 * 1024;
const PIECE: usize = 64 * 1024;

/// An HTTP/2 connection; its driver ends with it.
#[derive(Debug)]
pub struct H2 {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
    /// The same stream the driver works on: what the peer says last is read after it has ended.
    stream: Arc<Mutex<Stream<Socket>>>,
}

/// A stream the driver uses and gives back; only one of them uses it at a time.
#[derive(Debug)]
struct Lent(Arc<Mutex<Stream<Socket>>>);

impl Lent {
    fn with<T>(&self, then: impl FnOnce(Pin<&mut Stream<Socket>>) -> T) -> T {
        then(Pin::new(
            &mut self.0.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl AsyncRead for Lent {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_read(cx, out))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stream| stream.poll_write(cx, data))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stream| stream.poll_shutdown(cx))
    }
}

impl H2 {
    pub async fn start(stream: Stream<Socket>) -> io::Result<Self> {
        let stream = Arc::new(Mutex::new(stream));
        let (requests, connection) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(4 * WINDOW)
            .handshake(Lent(Arc::clone(&stream)))
            .await
            .map_err(io::Error::other)?;
        // A connection error also fails the request under way, where it is reported.
        let driver = tokio::spawn(async move { connection.await.unwrap_or(()) });
        Ok(Self {
            requests,
            driver,
            stream,
        })
    }

    /// One request; the status and the bytes of the response body.
    pub async fn request(&self, request: &Request<()>, body: u64) -> io::Result<(u16, u64)> {
        let (response, stream) = self.open(request, body == 0).await?;
        if body > 0
            && let Err(error) = send_filler(stream, body).await
        {
            return Ok((refusal(response, error).await?.status.as_u16(), 0));
        }
        let (head, mut incoming) = response.await.map_err(io::Error::other)?.into_parts();
        let mut total = 0;
        while let Some(data) = next(&mut incoming).await? {
            total += data.len() as u64;
        }
        Ok((head.status.as_u16(), total))
    }

    /// A unary gRPC call with one message; the length of the response's message.
    pub async fn unary(&self, request: &Request<()>, message: usize) -> io::Result<usize> {
        let (response, mut stream) = self.open(request, false).await?;
        if let Err(error) = send(&mut stream, frame(message), true).await {
            return Err(refused_call(&refusal(response, error).await?));
        }
        let (head, mut incoming) = response.await.map_err(io::Error::other)?.into_parts();
        let mut messages = Messages::default();
        while let Some(data) = next(&mut incoming).await? {
            messages.buffer.extend_from_slice(&data);
        }
        let trailers = incoming.trailers().await.map_err(io::Error::other)?;
        check_status(&head.headers, trailers.as_ref())?;
        messages
            .take()
            .ok_or_else(|| io::Error::other("gRPC response without a whole message"))
    }

    /// Opens a bidirectional gRPC stream, to be used message by message.
    pub async fn stream(&self, request: &Request<()>) -> io::Result<Call> {
        let (response, stream) = self.open(request, false).await?;
        Ok(Call {
            stream,
            response: Some(response),
            incoming: None,
            messages: Messages::default(),
        })
    }

    async fn open(
        &self,
        request: &Request<()>,
        end: bool,
    ) -> io::Result<(ResponseFuture, SendStream<Bytes>)> {
        let mut ready = self
            .requests
            .clone()
            .ready()
            .await
            .map_err(io::Error::other)?;
        ready
            .send_request(request.clone(), end)
            .map_err(io::Error::other)
    }

    /// The peer, or an error, has ended the connection.
    pub fn has_ended(&self) -> bool {
        self.driver.is_finished()
    }

    /// Whether the peer has announced the end of the connection: it takes no new request.
    pub fn is_leaving(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let ready = self.requests.clone().poll_ready(&mut cx);
        matches!(ready, Poll::Ready(Err(error)) if is_announced(&error))
    }

    /// Ends the connection in order, so that its last bytes are sent and counted.
    pub async fn close(self) {
        let Self {
            requests,
            driver,
            stream,
        } = self;
        drop(requests);
        // A driver that was cancelled has nothing left to send.
        driver.await.unwrap_or(());
        if let Some(Ok(mut stream)) = Arc::into_inner(stream).map(Mutex::into_inner) {
            // The peer may be gone already; then there is nothing more to count.
            stream.close().await.ok();
        }
    }
}

/// A gRPC stream under way.
#[derive(Debug)]
pub struct Call {
    stream: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    incoming: Option<RecvStream>,
    messages: Messages,
}

impl Call {
    /// Sends one message and waits for one back; its length.
    pub async fn exchange(&mut self, message: usize) -> io::Result<usize> {
        if let Err(error) = send(&mut self.stream, frame(message), false).await {
            return Err(match self.response.take() {
                Some(response) => refused_call(&refusal(response, error).await?),
                None => error,
            });
        }
        if let Some(response) = self.response.take() {
            let (head, incoming) = response.await.map_err(io::Error::other)?.into_parts();
            check_status(&head.headers, None)?;
            self.incoming = Some(incoming);
        }
        let incoming = self
            .incoming
            .as_mut()
            .ok_or_else(|| io::Error::other("gRPC stream without response"))?;
        loop {
            if let Some(length) = self.messages.take() {
                return Ok(length);
            }
            let data = next(incoming)
                .await?
                .ok_or_else(|| io::Error::other("gRPC stream ended early"))?;
            self.messages.buffer.extend_from_slice(&data);
        }
    }

    /// Half-closes and reads the trailers.
    pub async fn finish(mut self) -> io::Result<()> {
        self.stream
            .send_data(Bytes::new(), true)
            .map_err(io::Error::other)?;
        let Some(mut incoming) = self.incoming else {
            return Ok(());
        };
        while next(&mut incoming).await?.is_some() {}
        let trailers = incoming.trailers().await.map_err(io::Error::other)?;
        check_status(&HeaderMap::new(), trailers.as_ref())
    }
}

/// The next piece of a body; its part of the window is given back at once.
pub(crate) async fn next(incoming: &mut RecvStream) -> io::Result<Option<Bytes>> {
    let Some(data) = incoming.data().await else {
        return Ok(None);
    };
    let data = data.map_err(io::Error::other)?;
    incoming
        .flow_control()
        .release_capacity(data.len())
        .map_err(io::Error::other)?;
    Ok(Some(data))
}

/// Sends `body` filler bytes and ends the stream.
pub(crate) async fn send_filler(mut stream: SendStream<Bytes>, body: u64) -> io::Result<()> {
    let filler = Bytes::from(vec![b'0'; PIECE.min(body as usize)]);
    let mut left = body;
    while left > 0 {
        let piece = filler.slice(..filler.len().min(left as usize));
        left -= piece.len() as u64;
        send(&mut stream, piece, left == 0).await?;
    }
    Ok(())
}

/// Sends all of `data` as the peer's window opens.
pub(crate) async fn send(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    end: bool,
) -> io::Result<()> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let granted = poll_fn(|cx| stream.poll_capacity(cx)).await;
        let granted = granted.ok_or_else(|| io::Error::other("HTTP/2 stream was reset"))?;
        let piece = data.split_to(granted.map_err(io::Error::other)?.min(data.len()));
        stream
            .send_data(piece, end && data.is_empty())
            .map_err(io::Error::other)?;
    }
    Ok(())
}
