//! Whether a server that owes responses still lives: a ping, and some time for the reply (RFC 9113 §6.7). Looked
//! at now and then by a task of its own, so that no request pays for it. Pings are rare: a path that swallows
//! what it is sent is noticed sooner by the kernel, which ends a socket whose peer acknowledges nothing.

use std::task::{Context, Poll, Waker};

use h2::{Ping, PingPong};
use tokio::time::Instant;

use crate::proxy::codec::h2::pings::{PING_ANSWER, SERVER_PING_EVERY};

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
            due: Instant::now() + SERVER_PING_EVERY,
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
                    self.due = now + SERVER_PING_EVERY;
                }
            }
        } else if heard {
            self.due = now + SERVER_PING_EVERY;
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
    use std::io;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    use tokio::time::sleep;

    use super::*;

    /// What gRPC servers admit: one ping in so long.
    const ADMITTED_EVERY: Duration = Duration::from_mins(5);
    const PING: u8 = 6;

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

    /// A server that owes a response and sends nothing but replies to pings; when each ping came.
    async fn silent(mut far: DuplexStream, pinged: UnboundedSender<Instant>) -> io::Result<()> {
        far.read_exact(&mut [0; 24]).await?;
        far.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
        loop {
            let mut head = [0; 9];
            far.read_exact(&mut head).await?;
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            far.read_exact(&mut payload).await?;
            if (head[3], head[4]) == (PING, 0) {
                let _ = pinged.send(Instant::now());
                head[4] = 1;
                far.write_all(&[&head[..], &payload].concat()).await?;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_replies_is_kept_and_pinged_no_more_than_grpc_servers_admit() {
        let (near, far) = duplex(64 * 1024);
        let (pinged, mut pings) = unbounded_channel();
        tokio::spawn(silent(far, pinged));
        let begun = Instant::now();
        let mut liveness = over(near).await;
        let hour = watch(&mut liveness, true, false, 3600).await;
        assert_eq!(hour, None);
        let mut last = begun;
        let mut count = 0;
        while let Ok(at) = pings.try_recv() {
            assert!(at - last > ADMITTED_EVERY, "{:?}", at - last);
            (last, count) = (at, count + 1);
        }
        assert_eq!(count, 9);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_swallows_what_it_is_sent_is_given_up_while_it_owes_something() {
        let (near, mut far) = duplex(64 * 1024);
        tokio::spawn(async move { while far.read_u8().await.is_ok() {} });
        let mut liveness = over(near).await;
        assert_eq!(watch(&mut liveness, true, true, 900).await, None, "heard");
        let silence = (SERVER_PING_EVERY + PING_ANSWER).as_secs();
        let lost = watch(&mut liveness, false, false, silence).await;
        assert_eq!(lost, None, "idle");
        let lost = watch(&mut liveness, true, false, 60).await;
        assert_eq!(lost, Some(1 + PING_ANSWER.as_secs()));
    }
}
