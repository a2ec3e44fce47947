//! A client's socket that knows when the kernel was handed what it read: what lies before is the proxy's delay, what
//! lies after is the generator's own (SO_TIMESTAMPNS, docs.kernel.org/networking/timestamping.html).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::stamp;

/// A TCP connection, timed or not.
#[derive(Debug)]
pub struct Socket {
    tcp: TcpStream,
    timing: Option<Timing>,
}

#[derive(Debug)]
struct Timing {
    /// Room for the kernel's stamp.
    control: Vec<u8>,
    /// [`stamp::now`] when the newest byte that was read came.
    arrived: Option<u64>,
}

impl Socket {
    /// Notes no arrivals.
    pub fn plain(tcp: TcpStream) -> Self {
        Self { tcp, timing: None }
    }

    /// Has the kernel stamp what comes. The first such socket of a machine gets its stamps some milliseconds later,
    /// when the kernel has switched them on.
    pub fn timed(tcp: TcpStream) -> io::Result<Self> {
        setsockopt(&tcp, sockopt::ReceiveTimestampns, &true)?;
        let timing = Timing {
            control: nix::cmsg_space!(TimeSpec),
            arrived: None,
        };
        Ok(Self {
            tcp,
            timing: Some(timing),
        })
    }

    /// When the newest byte that was read reached this socket, on the clock of [`stamp::now`]; none if the kernel did
    /// not say.
    pub fn arrived(&self) -> Option<u64> {
        self.timing.as_ref()?.arrived
    }
}

impl Timing {
    fn read(&mut self, tcp: &TcpStream, out: &mut [u8]) -> io::Result<usize> {
        let mut into = [IoSliceMut::new(out)];
        let control = Some(self.control.as_mut_slice());
        let message = recvmsg::<()>(tcp.as_raw_fd(), &mut into, control, MsgFlags::empty())?;
        self.arrived = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(at) => {
                Some(stamp::of_calendar(at.tv_sec(), at.tv_nsec()))
            }
            _ => None,
        });
        Ok(message.bytes)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { tcp, timing } = &mut *self;
        let Some(timing) = timing else {
            return Pin::new(tcp).poll_read(cx, out);
        };
        loop {
            ready!(tcp.poll_read_ready(cx))?;
            let room = out.initialize_unfilled();
            match tcp.try_io(Interest::READABLE, || timing.read(tcp, room)) {
                Ok(read) => {
                    out.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_arrival_is_the_moment_of_the_kernel_not_of_the_reader() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut socket = Socket::timed(near).unwrap();
        assert_eq!(socket.arrived(), None, "nothing came yet");
        let mut got = [0; 16];
        for _ in 0..500 {
            far.write_all(b".").await.unwrap();
            assert_eq!(socket.read(&mut got).await.unwrap(), 1);
            if socket.arrived().is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        let before = stamp::now();
        far.write_all(b"token").await.unwrap();
        let sent = stamp::now();
        let idle = Duration::from_millis(50);
        tokio::time::sleep(idle).await;
        assert_eq!(socket.read(&mut got).await.unwrap(), 5);
        assert_eq!(&got[..5], b"token");
        let arrived = socket.arrived().unwrap();
        // Reading two clocks one after the other, and setting them, moves it by far less than the reader idled.
        let slack = idle.as_nanos() as u64 / 2;
        assert!(
            (before - slack..sent + slack).contains(&arrived),
            "{before} {arrived} {sent}"
        );

        far.shutdown().await.unwrap();
        assert_eq!(socket.read(&mut got).await.unwrap(), 0, "the end is seen");
    }
}
