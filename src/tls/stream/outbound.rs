//! Our direction of a connection: messages of our own, new keys, records on their way, the end.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite};

use super::io_vec_cursor::IoVecCursor;
use super::{End, TlsStream};
use crate::tls::post_handshake::UPDATE_NOT_REQUESTED;
use crate::tls::protection::{Keys, OVERHEAD};
use crate::tls::record::{ALERT, APPLICATION_DATA, HANDSHAKE, MAX_CONTENT, RECORD_HEADER};

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Seals a message of our own behind what is unsent.
    pub(super) fn queue(&mut self, content_type: u8, content: &[u8]) -> io::Result<()> {
        let begin = self.unsent.len();
        self.unsent.resize(begin + content.len() + OVERHEAD, 0);
        let record = &mut self.unsent[begin..];
        record[RECORD_HEADER..][..content.len()].copy_from_slice(content);
        self.keys.sealer.seal(content_type, record)?;
        Ok(())
    }

    /// Says that our key changes, and changes it.
    pub(super) fn update_key(&mut self) -> io::Result<()> {
        self.queue(HANDSHAKE, &UPDATE_NOT_REQUESTED)?;
        let next = self.keys.secrets.update_tx_secret();
        self.keys.sealer = Keys::new(next.map_err(io::Error::other)?)?;
        Ok(())
    }

    /// Sends what is sealed; ready when nothing is left.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.unsent.is_empty() {
                let io = Pin::new(&mut self.io);
                let count = ready!(io.poll_write(cx, &self.unsent))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.left(count);
                self.unsent.advance(count);
                if self.unsent.is_empty() {
                    self.unsent = BytesMut::new();
                }
            }
            let due = self.keys.sealer.sequence() >= self.keys.limit;
            if self.end != End::Open || !due && !std::mem::take(&mut self.update_asked) {
                return Poll::Ready(Ok(()));
            }
            self.update_key()?;
        }
    }

    /// Counts what the socket took.
    pub(super) fn left(&mut self, count: usize) {
        let of_handshake = count.min(self.flight);
        self.flight -= of_handshake;
        self.traffic.add_wire_out(count - of_handshake);
    }

    /// How much of a handshake the first data can leave with; for 0, nothing is unsent.
    pub(super) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if (1..=MAX_CONTENT).contains(&self.flight)
            && self.flight == self.unsent.len()
            && !self.update_asked
        {
            return Poll::Ready(Ok(self.flight));
        }
        ready!(self.poll_send(cx))?;
        Poll::Ready(Ok(0))
    }

    /// Ends our direction: `close_notify` if wanted, then FIN. The other direction stays open.
    pub(super) fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        close_notify: bool,
    ) -> Poll<io::Result<()>> {
        if self.end == End::Open {
            if close_notify {
                const WARNING: u8 = 1;
                self.queue(ALERT, &[WARNING, AlertDescription::CloseNotify.into()])?;
            }
            self.end = End::Queued;
        }
        if self.end == End::Queued {
            ready!(self.poll_send(cx))?;
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.end = End::Sent;
        }
        Poll::Ready(Ok(()))
    }

    /// Seals as much of `bufs` as one batch holds: bytes of content, bytes of records.
    pub(super) fn seal(
        &mut self,
        bufs: &[IoSlice<'_>],
        scratch: &mut [u8],
    ) -> io::Result<(usize, usize)> {
        let (mut content, mut records) = (0, 0);
        let mut bufs = IoVecCursor::new(bufs.iter().map(|buf| &buf[..]));
        while records + OVERHEAD < scratch.len() {
            let most = MAX_CONTENT.min(scratch.len() - records - OVERHEAD);
            let scratch = &mut scratch[records..];
            let count = if let Some(piece) = bufs.whole(most) {
                let record = &mut scratch[..piece.len() + OVERHEAD];
                self.keys
                    .sealer
                    .seal_from(APPLICATION_DATA, piece, record)?;
                piece.len()
            } else {
                let count = bufs.fill(&mut scratch[RECORD_HEADER..][..most]);
                if count == 0 {
                    break;
                }
                let record = &mut scratch[..count + OVERHEAD];
                self.keys.sealer.seal(APPLICATION_DATA, record)?;
                count
            };
            content += count;
            records += count + OVERHEAD;
        }
        Ok((content, records))
    }
}
