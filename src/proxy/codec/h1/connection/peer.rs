//! A connection and its peer: what that has taken, and a client that may have to make room for another one.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::H1;
use super::client::Client;
use crate::io::ClientStream;
use crate::listener::Activity;
use crate::proxy::codec::message::MessageError;
use crate::proxy::codec::patience::{Change, GivenUp, Patience, Turn};

/// Between two looks whether a client is gone whose bytes nobody reads: the kernel tells nobody.
const LOOK: Duration = Duration::from_millis(500);

impl<S: ClientStream> H1<S> {
    /// A client's connection: while it alone is waited for, it may have to make room.
    pub(crate) fn of_client(mut self, activity: &Arc<Activity>) -> Self {
        self.untaken = |stream| stream.unacknowledged().ok();
        self.client = Some(Box::new(Client {
            activity: Arc::clone(activity),
            patience: Patience::default(),
            gone: S::is_gone,
            watch: None,
        }));
        self
    }
}

impl<S> H1<S> {
    /// The stream can be asked what its peer has not acknowledged.
    pub(crate) fn telling(mut self, untaken: fn(&S) -> Option<usize>) -> Self {
        self.untaken = untaken;
        self
    }

    /// Another request: what the one before waited for is over.
    pub(crate) fn wait_anew(&mut self) {
        if let Some(client) = &mut self.client {
            client.patience.end();
        }
    }

    /// Ready when a client is gone though nobody reads what it has sent: by a reset, or, if `ended` counts too, by
    /// the end of its direction.
    pub(super) fn poll_left(&mut self, cx: &mut Context<'_>, ended: bool) -> Poll<MessageError> {
        let Some(client) = self.client.as_deref_mut() else {
            return Poll::Pending;
        };
        let watch = client.watch.get_or_insert_with(|| Box::pin(sleep(LOOK)));
        while watch.as_mut().poll(cx).is_ready() {
            if (client.gone)(&self.stream, ended) {
                return Poll::Ready(MessageError::Ended);
            }
            watch.as_mut().reset(Instant::now() + LOOK);
        }
        Poll::Pending
    }

    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>, turn: Turn) -> Poll<GivenUp> {
        let Some(client) = self.client.as_deref_mut() else {
            return Poll::Pending;
        };
        let untaken = || (self.untaken)(&self.stream);
        match client.patience.poll(cx, turn, self.sent, untaken) {
            Change::Nothing => {}
            Change::Stalled(since) => client.activity.stalled(since.into_std()),
            Change::GoesOn if client.activity.begin() => {}
            Change::GoesOn => return Poll::Ready(GivenUp::Shed),
            Change::Timeout => return Poll::Ready(GivenUp::Timeout),
        }
        if client.patience.is_stalled() {
            client.activity.poll_shed(cx).map(|()| GivenUp::Shed)
        } else {
            Poll::Pending
        }
    }
}
