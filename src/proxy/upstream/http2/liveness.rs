//! Whether a server that owes responses still lives: a ping, and some time for the reply (RFC 9113 §6.7). Looked
//! at now and then by a task of its own, so that no request pays for it.

use std::task::{Context, Poll, Waker};

use h2::{Ping, PingPong};
use tokio::time::Instant;

use crate::proxy::codec::h2::pings::{PING_ANSWER, PING_EVERY};

/// The pings of one connection.
pub(super) struct Liveness {
    pings: PingPong,
    /// A ping was sent and not answered yet.
    open: bool,
    /// When the next ping goes out, or must have been answered.
    due: Instant,
}

impl Liveness {
    pub(super) fn new(pings: PingPong) -> Self {
        Self {
            pings,
            open: false,
            due: Instant::now() + PING_EVERY,
        }
    }

    /// Whether the server is given up. `busy`: it owes a response; `heard`: something came of it since the last
    /// look, as replies wait behind what is on its way.
    pub(super) fn is_lost(&mut self, busy: bool, heard: bool) -> bool {
        let now = Instant::now();
        if self.open {
            let mut cx = Context::from_waker(Waker::noop());
            match self.pings.poll_pong(&mut cx) {
                Poll::Pending if heard => self.due = now + PING_ANSWER,
                Poll::Pending => return now >= self.due,
                // An error is the end of the connection, which ends its requests.
                Poll::Ready(_) => {
                    self.open = false;
                    self.due = now + PING_EVERY;
                }
            }
        } else if busy && now >= self.due {
            self.open = self.pings.send_ping(Ping::opaque()).is_ok();
            self.due = now + PING_ANSWER;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};
    use tokio::time::sleep;

    use super::*;

    /// The pings of a connection over this pipe, which lasts as long as the test.
    async fn over(near: DuplexStream) -> Liveness {
        let (sender, mut connection) = h2::client::handshake(near).await.unwrap();
        let pings = connection.ping_pong().unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
            drop(sender);
        });
        Liveness::new(pings)
    }

    /// Looks every second for so long; after how many seconds the server was given up.
    async fn watch(liveness: &mut Liveness, busy: bool, heard: bool, seconds: u64) -> Option<u64> {
        for second in 1..=seconds {
            sleep(Duration::from_secs(1)).await;
            if liveness.is_lost(busy, heard) {
                return Some(second);
            }
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_replies_is_kept() {
        let (near, far) = duplex(64 * 1024);
        tokio::spawn(async move {
            let mut connection = h2::server::handshake(far).await.unwrap();
            while connection.accept().await.is_some() {}
        });
        let mut liveness = over(near).await;
        assert_eq!(watch(&mut liveness, true, false, 300).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_swallows_what_it_is_sent_is_given_up_while_it_owes_something() {
        let (near, mut far) = duplex(64 * 1024);
        tokio::spawn(async move { while far.read_u8().await.is_ok() {} });
        let mut liveness = over(near).await;
        assert_eq!(watch(&mut liveness, false, false, 300).await, None, "idle");
        assert_eq!(watch(&mut liveness, true, true, 300).await, None, "heard");
        let lost = watch(&mut liveness, true, false, 60).await;
        assert_eq!(lost, Some(PING_ANSWER.as_secs()));
    }
}
