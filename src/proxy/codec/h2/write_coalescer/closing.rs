//! The end of a stream with a cork: what was gathered goes before it.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::CoalescingWriter;
use crate::io::Closing;

impl<S: AsyncWrite + Closing + Unpin> Closing for CoalescingWriter<S> {
    fn poll_finish(&mut self, cx: &mut Context<'_>, whole: bool) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_send(cx))?;
        inner.io.poll_finish(cx, whole)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.inner().io.poll_discard(cx)
    }

    fn unacknowledged(&self) -> io::Result<usize> {
        self.inner().io.unacknowledged()
    }

    fn written(&self) -> u64 {
        self.inner().io.written()
    }

    fn is_gone(&self, ended: bool) -> bool {
        self.inner().io.is_gone(ended)
    }
}
