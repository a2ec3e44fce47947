//! Both directions of a tunnel: bytes as they come, each with its own end.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::{Broken, Exchange, Upload};
use crate::proxy::codec::message::MessageStream;

impl<D: MessageStream, U: MessageStream> Exchange<'_, D, U> {
    /// Passes both directions on until both have ended: a tunnel.
    pub(crate) async fn tunnel(&mut self) -> Result<(), Broken> {
        let mut downloaded = false;
        poll_fn(|cx| {
            let uploaded = self.poll_tunnel_upload(cx)?;
            if !downloaded {
                downloaded = self.poll_download(cx)?.is_ready();
            }
            if downloaded && uploaded.is_ready() {
                return Poll::Ready(match self.upload {
                    Upload::Refused => Err(Broken::Untaken),
                    _ => Ok(()),
                });
            }
            // A client that has ended its direction may still go away: the server may have nothing to say to it for long.
            if uploaded.is_ready()
                && let Poll::Ready(gone) = self.poll_unread(cx)
            {
                return Poll::Ready(gone);
            }
            let awaited = self.awaited_in_tunnel(downloaded);
            self.poll_waiting(cx, awaited)
        })
        .await
    }

    /// Ready when nothing more goes up; what the server takes no more is no reason to lose what it
    /// still has to say.
    fn poll_tunnel_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.upload == Upload::Open {
            match self.poll_request_body(cx)? {
                Poll::Pending if self.stalled => return self.poll_unread(cx),
                polled => ready!(polled),
            }
        }
        if self.upload == Upload::Ending {
            self.upload = match self.up.poll_flush(cx) {
                Poll::Ready(Ok(())) => Upload::Done,
                Poll::Ready(Err(_)) => Upload::Refused,
                Poll::Pending => return self.poll_unread(cx),
            };
        }
        Poll::Ready(Ok(()))
    }

    /// Ready only with an error: a client that is not read now may be gone all the same.
    fn poll_unread(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let gone = ready!(self.down.poll_reset(cx));
        Poll::Ready(Err(Broken::Client(gone)))
    }
}
