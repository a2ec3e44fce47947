//! HTTP/1.1 read and written by hand, strictly, so that what is on the wire is what is tested; and
//! small upstreams of both versions.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc
)]

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::upstream;

/// A message as it came over the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// First line and fields, without the blank line.
    pub head: String,
    pub body: Vec<u8>,
    /// The trailer section of a chunked body, as it came.
    pub trailers: String,
}

impl Message {
    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    /// Every value of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The one value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there twice: {}", self.head);
        all.first().copied()
    }

    pub fn first_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }
}

/// Reads a head; `None` if the stream ends before its first byte.
pub async fn read_head<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && head.is_empty() => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    head.truncate(head.len() - 4);
    Ok(Some(String::from_utf8(head).unwrap()))
}

async fn read_line<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<String> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await?);
    }
    line.truncate(line.len() - 2);
    Ok(String::from_utf8(line).unwrap())
}

/// Reads one chunk; `None` at the last.
pub async fn read_chunk<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Option<Vec<u8>>> {
    let size = usize::from_str_radix(&read_line(stream).await?, 16).unwrap();
    if size == 0 {
        return Ok(None);
    }
    let mut chunk = vec![0; size];
    stream.read_exact(&mut chunk).await?;
    assert_eq!(read_line(stream).await?, "");
    Ok(Some(chunk))
}

async fn read_trailers<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<String> {
    let mut trailers = String::new();
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            return Ok(trailers);
        }
        trailers += &line;
        trailers.push('\n');
    }
}

async fn read_body<R: AsyncRead + Unpin>(
    stream: &mut R,
    message: &mut Message,
    until_close: bool,
) -> io::Result<()> {
    if let Some(length) = message.field("content-length") {
        message.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut message.body).await?;
    } else if message.field("transfer-encoding").is_some() {
        while let Some(chunk) = read_chunk(stream).await? {
            message.body.extend_from_slice(&chunk);
        }
        message.trailers = read_trailers(stream).await?;
    } else if until_close {
        stream.read_to_end(&mut message.body).await?;
    }
    Ok(())
}

/// Reads a request; `None` if the stream ends before it.
pub async fn read_request<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Option<Message>> {
    let Some(head) = read_head(stream).await? else {
        return Ok(None);
    };
    let mut message = Message {
        head,
        ..Message::default()
    };
    read_body(stream, &mut message, false).await?;
    Ok(Some(message))
}

/// Reads a response; `to_head`: to a HEAD request.
pub async fn read_response<R: AsyncRead + Unpin>(
    stream: &mut R,
    to_head: bool,
) -> io::Result<Message> {
    let head = read_head(stream)
        .await?
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let mut message = Message {
        head,
        ..Message::default()
    };
    let bodiless = to_head || matches!(message.status(), 100..200 | 204 | 304);
    if !bodiless {
        read_body(stream, &mut message, true).await?;
    }
    Ok(message)
}

/// An HTTP/1.1 server that keeps its connections: `answer` makes the bytes of each response.
pub async fn app<F, Fut>(answer: F) -> SocketAddr
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<u8>> + Send + 'static,
{
    counted_app(answer).await.0
}

/// The same, with the number of connections it accepted.
pub async fn counted_app<F, Fut>(answer: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(Message) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<u8>> + Send + 'static,
{
    let answer = Arc::new(answer);
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let address = upstream(move |mut stream| {
        count.fetch_add(1, Ordering::SeqCst);
        let answer = Arc::clone(&answer);
        async move {
            while let Ok(Some(request)) = read_request(&mut stream).await {
                if stream.write_all(&answer(request).await).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (address, accepted)
}

/// The switch to WebSocket that answers this request (RFC 6455 §4.2.2).
pub fn switched(head: &str) -> Vec<u8> {
    use base64::Engine as _;
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("sec-websocket-key: "));
    let joined = [key.unwrap(), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let algorithm = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
    let digest = aws_lc_rs::digest::digest(algorithm, joined.as_bytes());
    let accept = base64::prelude::BASE64_STANDARD.encode(digest);
    format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n").into_bytes()
}

/// A response with a content-length.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut response = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    response.reserve(body.len());
    [response.into_bytes(), body.to_vec()].concat()
}

/// A server that tells what it was asked: the request's head, then its body's checksum and trailers.
pub async fn echo_app() -> SocketAddr {
    app(|request| async move {
        ok(format!(
            "{}\n\n{} bytes, sum {}\n{}",
            request.head,
            request.body.len(),
            checksum(0, &request.body),
            request.trailers
        ))
    })
    .await
}

/// An HTTP/2 server with prior knowledge: `serve` gets every stream.
pub async fn h2_app<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let serve = Arc::new(serve);
    upstream(move |stream| serve_h2(stream, Arc::clone(&serve))).await
}

/// Serves one HTTP/2 connection.
pub async fn serve_h2<F, Fut>(stream: TcpStream, serve: Arc<F>)
where
    F: Fn(Request<RecvStream>, SendResponse<Bytes>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(serve(request, respond));
    }
}

/// Reads an HTTP/2 body to its end, window given back: content and trailers.
pub async fn read_h2(body: &mut RecvStream) -> Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut content = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        content.extend_from_slice(&piece);
    }
    Ok((content, body.trailers().await?))
}

/// Sends within the peer's window.
pub async fn send_h2(
    stream: &mut SendStream<Bytes>,
    mut content: Bytes,
    last: bool,
) -> Result<(), h2::Error> {
    while !content.is_empty() {
        stream.reserve_capacity(content.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.unwrap_or(Ok(0))?;
        if room == 0 {
            return Err(h2::Reason::CANCEL.into());
        }
        let piece = content.split_to(room.min(content.len()));
        let end = last && content.is_empty();
        stream.send_data(piece, end)?;
    }
    Ok(())
}

/// A request for `https://localhost<path>`.
pub fn h2_request(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .version(http::Version::HTTP_2)
}

/// A response head.
pub fn h2_response(status: u16) -> Response<()> {
    Response::builder().status(status).body(()).unwrap()
}

/// Sends a whole request and reads the whole response.
pub async fn h2_exchange(
    client: &h2::client::SendRequest<Bytes>,
    request: Request<()>,
    body: Bytes,
) -> Result<(Response<()>, Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut client = client.clone().ready().await?;
    let (response, mut stream) = client.send_request(request, body.is_empty())?;
    let upload = tokio::spawn(async move {
        let _ = send_h2(&mut stream, body, true).await;
    });
    let (head, mut body) = response.await?.into_parts();
    let (content, trailers) = read_h2(&mut body).await?;
    upload.abort();
    Ok((Response::from_parts(head, ()), content, trailers))
}

/// Order matters, position matters: FNV-1a over 64 bits, eight bytes a step where they fit.
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

/// `length` bytes that are not the same at any offset one would confuse.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect()
}

/// An address where nobody listens as long as the socket is held, which also keeps it free.
pub fn nobody() -> (socket2::Socket, SocketAddr) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    // So that the program under test may listen there, and nobody else is given it.
    socket.set_reuse_address(true).unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// A listener whose queue is full: the kernel answers no connection.
pub async fn full() -> (socket2::Socket, SocketAddr, Vec<TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fill = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        fill.push(stream);
        assert!(fill.len() < 1000, "this kernel has no full queues");
    }
    (socket, address, fill)
}

/// Waits until the peer closes or resets; how long that took.
pub async fn gone(stream: &mut TcpStream) -> Duration {
    let started = std::time::Instant::now();
    let mut rest = [0; 4096];
    while !matches!(stream.read(&mut rest).await, Ok(0) | Err(_)) {}
    started.elapsed()
}
