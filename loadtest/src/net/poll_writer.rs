//! Synchronous writes into an asynchronous socket.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// Lets rustls write into an asynchronous socket: pending shows as `WouldBlock`.
pub(super) struct PollWriter<'a, 'c, IO> {
    pub(super) io: Pin<&'a mut IO>,
    pub(super) cx: &'a mut Context<'c>,
}

impl<IO: AsyncWrite> Write for PollWriter<'_, '_, IO> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        now(self.io.as_mut().poll_write(self.cx, data))
    }

    fn write_vectored(&mut self, data: &[io::IoSlice<'_>]) -> io::Result<usize> {
        now(self.io.as_mut().poll_write_vectored(self.cx, data))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
