//! A socket to the upstream: TCP, Unix, or TLS to a server elsewhere.

use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

use super::permits::SocketPermit;
use crate::io::{
    ByteSource, Transport as _, UNACKNOWLEDGED_FOR, explained, keepalive, undelivered,
};
use crate::proxy::error::UpstreamError;
use crate::proxy::origin::KeptStream;
use crate::proxy::settings::UpstreamAddr;

/// Buffer capacity for a read: a small one for heads and tokens, a large one once bulk flows.
const SMALL_READ: usize = 4 * 1024;
const LARGE_READ: usize = 64 * 1024;

/// A connected socket.
pub(crate) struct Socket {
    /// Closed before its permit is given back.
    kind: Kind,
    permit: SocketPermit,
    /// The last read filled its room: bulk is flowing.
    bulk: bool,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<KeptStream>),
}

/// Where TCP waits for room in the queue of the app, a Unix socket refuses: it is asked again, for as long as the
/// caller waits.
async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    const LONGEST: Duration = Duration::from_millis(100);
    let mut pause = Duration::from_millis(1);
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
            connected => return connected,
        }
        pause = (pause * 2).min(LONGEST);
    }
}

impl Socket {
    pub(super) async fn connect(address: &UpstreamAddr, permit: SocketPermit) -> io::Result<Self> {
        let kind = match address {
            UpstreamAddr::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(explained)?;
                stream.set_nodelay(true)?;
                if address.ip().to_canonical().is_loopback() {
                    without_pacing(&stream);
                } else {
                    SockRef::from(&stream).set_tcp_keepalive(&keepalive())?;
                }
                Kind::Tcp(stream)
            }
            UpstreamAddr::Unix(path) => Kind::Unix(connect_unix(path).await?),
            // Each client names its own.
            UpstreamAddr::Tunnel(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self {
            kind,
            permit,
            bulk: false,
        })
    }

    /// A TLS stream to a server elsewhere.
    pub(super) fn secured(stream: KeptStream, permit: SocketPermit) -> Self {
        Self {
            kind: Kind::Tls(Box::new(stream)),
            permit,
            bulk: false,
        }
    }

    /// Its close is a reset from now on: a stream that was cut must not look like a whole one.
    pub(crate) fn reset_at_close(&self) {
        if let Kind::Tcp(stream) = &self.kind {
            // A socket that refuses it is gone already.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// Bytes written that a reset would drop.
    pub(crate) fn undelivered(&self) -> io::Result<usize> {
        match &self.kind {
            Kind::Tcp(stream) => undelivered(stream),
            Kind::Unix(_) | Kind::Tls(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What its peer's TCP has not acknowledged, if the kernel tells.
    pub(crate) fn untaken(&self) -> Option<usize> {
        self.tcp()?.unacknowledged().ok()
    }

    /// Whether its peer may go without a word: the kernel tells of the end of one on this host.
    pub(super) fn may_lose_its_peer(&self) -> bool {
        let tcp = self.tcp().map(SockRef::from);
        tcp.is_some_and(|tcp| tcp.keepalive().unwrap_or(false))
    }

    /// Ends it when its peer acknowledges nothing for so long. Only for a peer that always reads, as one of HTTP/2
    /// does: TCP counts a closed window in.
    pub(super) fn limit_unacknowledged(&self) {
        if let Some(tcp) = self.tcp() {
            // A socket that refuses it is gone already.
            let _ = SockRef::from(tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED_FOR));
        }
    }

    fn tcp(&self) -> Option<&TcpStream> {
        match &self.kind {
            Kind::Tcp(stream) => Some(stream),
            Kind::Unix(_) => None,
            Kind::Tls(stream) => Some(stream.get_ref()),
        }
    }

    /// The group of its keys, where there are any.
    pub(crate) fn group(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::Tls(stream) => Some(stream.group()),
            Kind::Tcp(_) | Kind::Unix(_) => None,
        }
    }

    /// Whether whole messages went both ways, so that its end may be an orderly one.
    pub(crate) fn set_orderly(&mut self, orderly: bool) {
        if let Kind::Tls(stream) = &mut self.kind {
            stream.set_orderly(orderly);
        }
    }

    /// Why it has ended, if the server refused us, or we the server.
    pub(crate) fn refusal(&mut self) -> Option<UpstreamError> {
        let Kind::Tls(stream) = &mut self.kind else {
            return None;
        };
        let broken = stream.alert_sent().map(UpstreamError::broken_tls);
        broken.or_else(|| Some(UpstreamError::Origin(Box::new(stream.refusal()?))))
    }

    pub(super) fn permit(&mut self) -> &mut SocketPermit {
        &mut self.permit
    }

    pub(super) fn has_additional_permit(&self) -> bool {
        self.permit.is_additional()
    }

    /// Whether the server has said nothing since its last answer: it neither closed nor erred.
    /// Without asking the kernel, an event of this very moment may be missed.
    pub(super) fn is_idle(&mut self, probe_socket: bool) -> bool {
        if let Kind::Tls(stream) = &mut self.kind {
            return stream.is_idle();
        }
        let noticed = self.poll_read_ready(&mut Context::from_waker(Waker::noop()));
        if noticed.is_pending() && !probe_socket {
            return true;
        }
        let mut byte = [0_u8; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let seen = match &self.kind {
            Kind::Tcp(stream) => recv(stream, &mut byte[..], flags),
            Kind::Unix(stream) => recv(stream, &mut byte[..], flags),
            Kind::Tls(_) => return false,
        };
        matches!(seen, Err(rustix::io::Errno::AGAIN))
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.kind {
            Kind::Tcp(stream) => stream.poll_read_ready(cx),
            Kind::Unix(stream) => stream.poll_read_ready(cx),
            Kind::Tls(_) => Poll::Ready(Ok(())),
        }
    }
}

/// On loopback there is no path to probe and nobody to be fair to: an algorithm that paces, which the
/// host may use by default, only sends late and in small pieces. Reno is in every kernel.
fn without_pacing(stream: &TcpStream) {
    // A refusal leaves the host's choice, which works too.
    let _ = rustix::net::sockopt::set_tcp_congestion(stream, "reno");
}

impl ByteSource for Socket {
    fn poll_append(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        if let Kind::Tls(stream) = &mut self.kind {
            return stream.poll_append(cx, buf);
        }
        ready!(self.poll_read_ready(cx))?;
        let wanted = if self.bulk { LARGE_READ } else { SMALL_READ };
        if buf.capacity() - buf.len() < wanted / 4 {
            buf.reserve(wanted);
        }
        let room = buf.capacity() - buf.len();
        let count = ready!(tokio_util::io::poll_read_buf(Pin::new(self), cx, buf))?;
        self.bulk = count == room;
        Poll::Ready(Ok(count))
    }

    fn read_little(&mut self) {
        self.bulk = false;
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Kind::Tls(stream) => Pin::new(&mut ***stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Kind::Tls(stream) => Pin::new(&mut ***stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Kind::Tls(stream) => Pin::new(&mut ***stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tls(stream) => Pin::new(&mut ***stream).poll_flush(cx),
            Kind::Tcp(_) | Kind::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Tls(stream) => Pin::new(&mut ***stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests;
