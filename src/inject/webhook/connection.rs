//! One connection of the webhook: HTTP/1.1 or HTTP/2 over any byte stream, with limits on what a client
//! can hold: time for a head, time to take a response, memory of what is read ahead.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::planning::Reviews;
use super::streams::Streams;
use super::work::Work;
use crate::drain::{Phase, Watch};
use crate::panics::OnPanic;
use crate::tls::handshake::Alpn;

/// From the first byte of a request head to its end.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For the end of a connection that has to make room for another one.
const SHED_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection without a request may still bring its first one when a drain meets it: the client sent it right
/// behind its handshake, and could not know.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);
/// For an HTTP/2 client to answer the PING behind which its connection ends, once it is owed nothing.
const MUTE: Duration = Duration::from_secs(2);
/// Streams of one HTTP/2 connection. The API server opens another one when it needs more.
const MAX_STREAMS: u32 = 16;
/// Bytes of bodies that a client may send and nobody has read yet, of a stream and of a connection.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 128 << 10;
/// Bytes that HTTP/1.1 reads ahead, the head of a request among them, and bytes of the fields of one over HTTP/2. A head
/// that is too large is refused where it is counted, up to these; a longer one of HTTP/2 by the h2 crate, without a count,
/// because fields take many times their bytes.
const READ_AHEAD: usize = 64 << 10;
const FIELDS: u32 = 16 << 10;

/// Serves a connection until the client closes it, a drain ends it or it has to make room.
pub(crate) async fn serve<IO>(
    io: IO,
    alpn: Alpn,
    reviews: Arc<Reviews>,
    watch: Watch,
    work: Arc<Work>,
    stream_panicked: OnPanic,
) where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let open = Arc::clone(&work);
    let counts = Arc::clone(&reviews);
    let service =
        service_fn(move |request| Arc::clone(&reviews).respond_to(request, Arc::clone(&open)));
    let io = TokioIo::new(io);
    // A broken connection is the client's affair; its requests were responded to or are lost with it.
    match alpn {
        Alpn::Http1 => {
            let mut builder = http1::Builder::new();
            builder
                .timer(TokioTimer::new())
                .max_buf_size(READ_AHEAD)
                .header_read_timeout(HEAD_TIMEOUT);
            let connection = pin!(builder.serve_connection(io, service));
            let end = http1::Connection::graceful_shutdown;
            if let Err(error) = until_drained(connection, watch, &work, end, None).await
                && error.is_parse()
            {
                counts.refused_head(work.client(), error.is_parse_too_large());
            }
        }
        Alpn::Http2 => {
            let mut builder = http2::Builder::new(Streams(stream_panicked));
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_header_list_size(FIELDS)
                .keep_alive_interval(Duration::from_secs(30));
            let connection = pin!(builder.serve_connection(io, service));
            let end = http2::Connection::graceful_shutdown;
            let _ = until_drained(connection, watch, &work, end, Some(MUTE)).await;
        }
    }
}

/// Drives a connection until the client closes it or does not take its responses; a drain lets the request under way finish and takes no other,
/// and ends it when it owes nothing for as long as `mute`. One that has to make room waits for its client, and has a moment for its last bytes.
async fn until_drained<C>(
    mut connection: Pin<&mut C>,
    watch: Watch,
    work: &Work,
    shut_down: impl Fn(Pin<&mut C>),
    mute: Option<Duration>,
) -> Result<(), hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>>,
{
    let first_by = Instant::now() + FIRST_REQUEST_GRACE;
    let mut given_up = pin!(work.untaken().given_up());
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = given_up.as_mut() => return Ok(()),
        () = watch.reached(Phase::Draining) => {}
        () = work.activity().shed() => {
            shut_down(connection.as_mut());
            return timeout(SHED_TIMEOUT, connection).await.unwrap_or(Ok(()));
        }
    }
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = given_up.as_mut() => return Ok(()),
        () = work.begun() => {}
        () = sleep_until(first_by) => {}
    }
    shut_down(connection.as_mut());
    let quiet = async {
        match mute {
            Some(long) => work.quiet_for(long).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ended = connection => ended,
        () = given_up => Ok(()),
        () = quiet => Ok(()),
    }
}
