//! The stream of a client of an admin port or of the webhook. What the client does not take of its responses is held by
//! the kernel, and counts to the pod: it is bounded, and a client that takes nothing of it for too long is given up.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::io::Transport as _;

/// What the kernel is asked to hold for a client, which is twice as much with its own records; left to itself it
/// holds megabytes.
const SEND_BUFFER: usize = 64 * 1024;
/// How long a client may take nothing of what waits for it. One on a slow link takes something.
const STALLED: Duration = Duration::from_secs(10);

/// Between two looks whether a client is gone whose bytes nobody reads: the kernel tells nobody.
const LOOK: Duration = Duration::from_millis(500);

/// A client's stream.
pub(crate) struct Bounded {
    stream: Arc<TcpStream>,
    patience: Duration,
    /// Since nothing more of a response could be written.
    stalled: Option<Stalled>,
}

/// When a client is looked at next, and what it had not acknowledged then.
struct Stalled {
    timer: Pin<Box<Sleep>>,
    left: usize,
}

impl Bounded {
    pub(crate) fn new(stream: impl Into<Arc<TcpStream>>) -> Self {
        let stream = stream.into();
        // A refusal leaves the kernel's own bound.
        let _ = SockRef::from(&*stream).set_send_buffer_size(SEND_BUFFER);
        Self {
            stream,
            patience: STALLED,
            stalled: None,
        }
    }

    fn poll_send(&self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write_vectored(bufs) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    /// The same, unless the client has taken nothing for too long.
    fn within_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let left = || self.stream.unacknowledged().unwrap_or(0);
        let stalled = self.stalled.get_or_insert_with(|| Stalled {
            timer: Box::pin(sleep(self.patience)),
            left: left(),
        });
        loop {
            ready!(stalled.timer.as_mut().poll(cx));
            let before = std::mem::replace(&mut stalled.left, left());
            if stalled.left >= before {
                break;
            }
            let next = Instant::now() + self.patience;
            stalled.timer.as_mut().reset(next);
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Completes when the client has ended its direction, or the connection. While bytes of another request wait,
/// hyper does not read on, and would not see it.
pub(super) async fn gone(stream: &TcpStream) {
    loop {
        sleep(LOOK).await;
        if stream.is_gone(true) {
            return;
        }
    }
}

impl Drop for Bounded {
    /// With something that could not be written its close is a reset: otherwise the kernel would go on holding
    /// what is unread.
    fn drop(&mut self) {
        if self.stalled.is_some() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_send(cx, bufs);
        self.within_time(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    /// A client that holds little itself, and its stream here.
    async fn pair() -> (TcpStream, Bounded) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4096).unwrap();
        let client = client.connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), Bounded::new(accepted.unwrap().0))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up_and_holds_little() {
        let (mut client, mut stream) = pair().await;
        let (begun, mut written) = (Instant::now(), 0);
        let error = loop {
            match stream.write(&[7; 4096]).await {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= STALLED);
        assert!(written < 512 * 1024, "{written}");
        drop(stream);
        let ended = client.read_to_end(&mut Vec::new()).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    /// The kernel says that there is room only when a third is free: until then a client may take little by little.
    #[tokio::test]
    async fn a_client_on_a_slow_link_gets_all_of_it() {
        const PAGE: usize = 512 * 1024;
        let (mut client, mut stream) = pair().await;
        stream.patience = Duration::from_secs(1);
        let reading = tokio::spawn(async move {
            let (mut piece, mut received) = (vec![0; 4 * 1024], 0);
            // Less than is looked for at first, and then the rest.
            for _ in 0..15 {
                sleep(Duration::from_millis(200)).await;
                received += client.read(&mut piece).await.unwrap();
            }
            while received < PAGE {
                received += client.read(&mut piece).await.unwrap();
            }
            received
        });
        let begun = Instant::now();
        stream.write_all(&vec![7; PAGE]).await.unwrap();
        assert!(begun.elapsed() > 2 * stream.patience);
        assert_eq!(reading.await.unwrap(), PAGE);
    }
}
