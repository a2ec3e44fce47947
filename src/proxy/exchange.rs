//! The pump: one request body up and one response body down at the same time, in one task.
//!
//! Nothing is held back: what one side has is given to the other as soon as there is room, and
//! flushed before waiting. A client that goes away ends the exchange at once.

mod broken;
mod tunnel;
mod waiting;

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

pub(crate) use self::broken::Broken;
use crate::proxy::codec::message::{MessageError, MessageStream, Readiness};
use crate::proxy::pace::{Pace, StreamClock};
use crate::proxy::settings::Timeouts;

/// How far the request has been forwarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Upload {
    /// Bytes may follow.
    Open,
    /// The end is queued.
    Ending,
    /// All of it left.
    Done,
    /// The upstream takes no more; it may still answer.
    Refused,
}

/// One request and its response.
pub(crate) struct Exchange<'a, D, U> {
    pub(crate) down: &'a mut D,
    pub(crate) up: &'a mut U,
    upload: Upload,
    download: Download,
    /// How the upstream broke off; told when what came before it has left.
    broken: Option<MessageError>,
    /// The upstream takes no more for now.
    stalled: bool,
    /// The upstream has all that came of the client, and takes more.
    starved: bool,
    /// The client takes no more for now.
    blocked: bool,
    /// Something came or was forwarded in this turn.
    moved: bool,
    /// Neither side has said anything yet, and no request came before.
    unbegun: bool,
    /// Whether any piece of the request body was taken from the client.
    pub(crate) body_taken: bool,
    timeouts: Timeouts,
    pace: Option<Box<Pace>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Download {
    Open,
    Ending,
}

impl<'a, D: MessageStream, U: MessageStream> Exchange<'a, D, U> {
    /// Both heads' senders are set up by the caller.
    pub(crate) fn new(down: &'a mut D, up: &'a mut U, timeouts: Timeouts) -> Self {
        Self {
            down,
            up,
            upload: Upload::Open,
            download: Download::Open,
            broken: None,
            stalled: false,
            starved: false,
            blocked: false,
            moved: false,
            unbegun: false,
            body_taken: false,
            timeouts,
            pace: Pace::new(timeouts.idle, None),
        }
    }

    /// Goes on where another exchange of the same request stopped.
    pub(crate) fn resumed(
        down: &'a mut D,
        up: &'a mut U,
        timeouts: Timeouts,
        upload: Upload,
    ) -> Self {
        Self {
            upload,
            ..Self::new(down, up, timeouts)
        }
    }

    /// Times the pieces of the response too.
    pub(crate) fn timing(mut self, stream: Option<StreamClock>) -> Self {
        if stream.is_some() {
            self.pace = Pace::new(self.timeouts.idle, stream);
        }
        self
    }

    /// How far the request got.
    pub(crate) fn upload(&self) -> Upload {
        self.upload
    }

    /// Passes the request on while waiting for something of the upstream.
    pub(crate) async fn upload_until<T>(
        &mut self,
        mut wanted: impl FnMut(&mut D, &mut U, &mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Broken> {
        poll_fn(|cx| {
            let uploaded = self.poll_upload(cx);
            // The answer first: an early one must not be lost to an upload that failed.
            if let Poll::Ready(value) = wanted(self.down, self.up, cx) {
                self.moved = true;
                return Poll::Ready(Ok(value));
            }
            // An interim answer that did not leave at once.
            if let Poll::Ready(Err(error)) = self.down.poll_flush(cx) {
                return Poll::Ready(Err(Broken::Client(error)));
            }
            match uploaded {
                Poll::Ready(Err(broken)) => Poll::Ready(Err(broken)),
                Poll::Ready(Ok(())) | Poll::Pending => {
                    let awaited = self.awaited_body();
                    self.poll_waiting(cx, awaited)
                }
            }
        })
        .await
    }

    /// Passes both bodies on until the response has left in full.
    pub(crate) async fn run(&mut self) -> Result<(), Broken> {
        poll_fn(|cx| {
            let uploaded = self.poll_upload(cx);
            if let Poll::Ready(result) = self.poll_download(cx) {
                return Poll::Ready(result);
            }
            match uploaded {
                Poll::Ready(Err(broken)) => Poll::Ready(Err(broken)),
                Poll::Ready(Ok(())) | Poll::Pending => {
                    let awaited = self.awaited_reader();
                    self.poll_waiting(cx, awaited)
                }
            }
        })
        .await
    }

    /// Ready only with an error: a request that is forwarded keeps watching for its client.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if self.upload == Upload::Open {
            match self.poll_request_body(cx)? {
                // The client is not read now, and may go away all the same.
                Poll::Pending if self.stalled => {}
                polled => ready!(polled),
            }
        }
        if self.upload == Upload::Ending {
            match self.up.poll_flush(cx) {
                Poll::Ready(Ok(())) => self.upload = Upload::Done,
                Poll::Ready(Err(_)) => self.upload = Upload::Refused,
                Poll::Pending => {}
            }
            if self.upload != Upload::Ending {
                self.down.taken();
            }
        }
        let gone = ready!(self.down.poll_closed(cx));
        Poll::Ready(Err(Broken::Client(gone)))
    }

    fn poll_request_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.starved = false;
        loop {
            let room = self.up.poll_ready(cx);
            self.stalled = room.is_pending();
            if ready!(room).is_err() {
                self.refuse();
                return Poll::Ready(Ok(()));
            }
            match self.down.poll_frame(cx) {
                Poll::Ready(Ok(Some(frame))) => {
                    self.progress();
                    self.begin();
                    self.body_taken = true;
                    let last = self.down.at_end();
                    if self.up.send(frame, last).is_err() {
                        self.refuse();
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Ok(None)) => {
                    self.upload = match self.up.finish() {
                        Ok(()) => Upload::Ending,
                        Err(_) => Upload::Refused,
                    };
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Client(error))),
                Poll::Pending => {
                    let flushed = self.up.poll_flush(cx);
                    self.starved = flushed.is_ready();
                    if self.starved {
                        self.down.taken();
                    }
                    if let Poll::Ready(Err(_)) = flushed {
                        self.upload = Upload::Refused;
                        return Poll::Ready(Ok(()));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// The upstream takes no more.
    fn refuse(&mut self) {
        self.upload = Upload::Refused;
        self.down.taken();
    }

    fn poll_download(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.blocked = true;
        while self.download == Download::Open {
            match self.down.poll_ready(cx) {
                Poll::Ready(room) => {
                    if room.map_err(Broken::Client)? == Readiness::Scarce {
                        self.up.read_little();
                    }
                }
                Poll::Pending => {
                    // It may be long.
                    self.up.release();
                    return Poll::Pending;
                }
            }
            match self.up.poll_frame(cx) {
                Poll::Ready(Ok(Some(frame))) => {
                    if let Some(pace) = &mut self.pace {
                        pace.piece(&frame);
                    }
                    self.begin();
                    let last = self.up.at_end();
                    self.down.send(frame, last).map_err(Broken::Client)?;
                }
                Poll::Ready(Ok(None)) => {
                    self.down.finish().map_err(Broken::Client)?;
                    self.download = Download::Ending;
                }
                Poll::Ready(Err(error)) => {
                    // What came before the break belongs to the client.
                    self.broken = Some(error);
                    self.download = Download::Ending;
                }
                Poll::Pending => {
                    self.blocked = false;
                    if let Poll::Ready(Err(error)) = self.down.poll_flush(cx) {
                        return Poll::Ready(Err(Broken::Client(error)));
                    }
                    return Poll::Pending;
                }
            }
        }
        ready!(self.down.poll_flush(cx)).map_err(Broken::Client)?;
        Poll::Ready(match self.broken.take() {
            Some(error) => Err(Broken::Upstream(error)),
            None => Ok(()),
        })
    }
}
