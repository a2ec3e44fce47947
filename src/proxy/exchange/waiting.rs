//! Who an exchange waits for, when it can forward nothing.

use std::task::{Context, Poll, ready};

use super::{Broken, Exchange, Upload};
use crate::proxy::codec::message::MessageStream;
use crate::proxy::codec::patience::{Awaited, GivenUp, Turn};

impl<D: MessageStream, U: MessageStream> Exchange<'_, D, U> {
    /// No request came before it: until one side has said something, the client is waited for.
    pub(crate) fn unbegun(mut self) -> Self {
        self.unbegun = true;
        self
    }

    /// Before there is a response: the rest of the request, as far as the upstream takes it.
    pub(super) fn awaited_body(&self) -> Awaited {
        if self.upload == Upload::Open && self.starved {
            Awaited::Sending
        } else {
            Awaited::Others
        }
    }

    /// While there is a response. The upstream owes something until that has ended, whatever the client owes.
    pub(super) fn awaited_reader(&self) -> Awaited {
        if self.blocked {
            Awaited::Reading
        } else {
            Awaited::Others
        }
    }

    /// In a tunnel either side may speak at any time. `downloaded`: the server does no more.
    pub(super) fn awaited_in_tunnel(&self, downloaded: bool) -> Awaited {
        if downloaded || self.unbegun {
            self.awaited_body()
        } else {
            self.awaited_reader()
        }
    }

    /// Something came of either side.
    pub(super) fn begin(&mut self) {
        self.moved = true;
        self.unbegun = false;
    }

    pub(super) fn progress(&mut self) {
        if let Some(pace) = &mut self.pace {
            pace.progress();
        }
    }

    /// At the end of a turn in which nothing more can be forwarded.
    pub(super) fn poll_waiting<T>(
        &mut self,
        cx: &mut Context<'_>,
        awaited: Awaited,
    ) -> Poll<Result<T, Broken>> {
        let turn = Turn {
            awaited,
            moved: std::mem::take(&mut self.moved),
            limit: self.timeouts.client,
        };
        match self.down.poll_patience(cx, turn) {
            Poll::Ready(GivenUp::Shed) => return Poll::Ready(Err(Broken::Shed)),
            Poll::Ready(GivenUp::Timeout) => return Poll::Ready(Err(Broken::Timeout)),
            Poll::Pending => {}
        }
        let Some(pace) = &mut self.pace else {
            return Poll::Pending;
        };
        let sides = || [self.down.outgoing(), self.up.outgoing()];
        ready!(pace.poll_idle(cx, sides));
        Poll::Ready(Err(Broken::Idle))
    }
}
