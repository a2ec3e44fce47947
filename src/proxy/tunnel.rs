//! Tunnels: WebSocket by HTTP/1.1 Upgrade (RFC 6455) and by HTTP/2 extended CONNECT (RFC 8441), and
//! raw TCP. Bytes both ways, half-close kept, no end by silence unless asked for.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::io::{ClientStream, Duplex};
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::message::MessageStream;
use crate::proxy::context::{Context, Sample};
use crate::proxy::delivery::delivered;
use crate::proxy::end::{ROOM_IS_WANTED, Sent, end};
use crate::proxy::error::{Outcome, UpstreamError};
use crate::proxy::exchange::{Broken, Exchange};
use crate::proxy::upstream::{Priority, Socket};

/// Runs a tunnel after a 101 was queued for the client and `up` became one.
pub(super) async fn tunnel<S: Duplex, U: MessageStream>(
    client: &mut H1<S>,
    up: &mut U,
    context: &Context,
    sample: &mut Sample<'_>,
) -> Outcome {
    client.start_tunnel();
    let relayed = run(client, up, context).await;
    if relayed.is_whole {
        sample.complete();
    }
    relayed.outcome
}

/// How a relay ended.
pub(super) struct Relayed {
    pub(super) outcome: Outcome,
    /// The client has all that the upstream had to say, and its end.
    pub(super) is_whole: bool,
}

impl From<&Result<(), Broken>> for Relayed {
    fn from(ended: &Result<(), Broken>) -> Self {
        Self {
            outcome: ended
                .as_ref()
                .map_or_else(Broken::outcome, |()| Outcome::Closed),
            is_whole: matches!(ended, Ok(()) | Err(Broken::Untaken)),
        }
    }
}

/// Relays both directions until both have ended.
pub(super) async fn run<D: MessageStream, U: MessageStream>(
    down: &mut D,
    up: &mut U,
    context: &Context,
) -> Relayed {
    relayed(
        Exchange::new(down, up, context.settings.tunnel_timeouts()),
        context,
    )
    .await
}

/// The same for bytes that no request came before.
pub(super) async fn run_from_nothing<D: MessageStream, U: MessageStream>(
    down: &mut D,
    up: &mut U,
    context: &Context,
) -> Outcome {
    let exchange = Exchange::new(down, up, context.settings.tunnel_timeouts());
    relayed(exchange.unbegun(), context).await.outcome
}

async fn relayed<D: MessageStream, U: MessageStream>(
    mut exchange: Exchange<'_, D, U>,
    context: &Context,
) -> Relayed {
    let ended = exchange.tunnel().await;
    if let Err(Broken::Upstream(error)) = &ended {
        context.answer_broken(error);
    }
    Relayed::from(&ended)
}

/// A nonce for a handshake whose client needed none (RFC 6455 §4.1; RFC 8441 §5).
pub(super) fn new_key() -> String {
    let mut nonce = [0_u8; 16];
    // Without randomness the key is all zero: it guards against caches, not against attackers.
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    let _ = random.fill(&mut nonce);
    base64::prelude::BASE64_STANDARD.encode(nonce)
}

/// The proof of a server that it has read the key of a handshake (RFC 6455 §4.2.2).
pub(super) fn accepts(key: &str) -> String {
    const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    let joined = [key, MAGIC].concat();
    base64::prelude::BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, joined.as_bytes()))
}

/// Relays raw TCP (`protocol = "tcp"`); the server may speak first, after it was sent `preface`. No `async fn`: that would hold its
/// arguments twice.
pub(crate) fn relay<S: ClientStream>(
    stream: S,
    context: Context,
    preface: Vec<u8>,
) -> impl Future<Output = Outcome> + Send {
    let mut client = H1::new(stream).of_client(&context.activity);
    client.start_tunnel();
    async move {
        // Nothing tells an idle tunnel from one that waits: all of them have work once something was said.
        if !context.activity.begin() {
            let (outcome, now) = (Outcome::Shed, Instant::now());
            return end(&mut client, Sent::Whole, outcome, now, &context.drain).await;
        }
        let outcome = match connect(&context, preface).await {
            Ok(socket) => {
                let mut up = OpenEnd::new(socket);
                let outcome = run_from_nothing(&mut client, &mut up.stream, &context).await;
                up.end(outcome, &context).await
            }
            Err(error) => {
                context.upstream_failed(&error);
                Outcome::UpstreamBroken
            }
        };
        let sent = match outcome {
            Outcome::ClientGone => return outcome,
            Outcome::Closed => Sent::Whole,
            _ => Sent::Broken,
        };
        end(&mut client, sent, outcome, Instant::now(), &context.drain).await
    }
}

/// The app's end of a relay. Its close is a reset, unless both directions came to an orderly end: plaintext has no
/// close_notify, so that an upload that was cut would look like a whole one.
pub(super) struct OpenEnd {
    pub(super) stream: H1<Socket>,
    orderly: bool,
}

impl OpenEnd {
    pub(super) fn new(socket: Socket) -> Self {
        let mut stream = H1::new(socket).telling(Socket::untaken);
        stream.start_tunnel();
        Self {
            stream,
            orderly: false,
        }
    }

    /// Closes it after a relay that would end with `outcome`; how it really ended.
    pub(super) async fn end(mut self, outcome: Outcome, context: &Context) -> Outcome {
        let undelivered = || self.stream.stream().undelivered();
        match outcome {
            Outcome::Closed => self.orderly = true,
            Outcome::UpstreamBroken => {}
            // The newcomer's place is this one's.
            Outcome::Shed => {
                let all = delivered(undelivered, outcome, &context.drain);
                let _ = tokio::time::timeout(ROOM_IS_WANTED, all).await;
            }
            // What came before the cut belongs to the app.
            _ => return delivered(undelivered, outcome, &context.drain).await,
        }
        outcome
    }
}

impl Drop for OpenEnd {
    fn drop(&mut self) {
        if !self.orderly {
            self.stream.stream().reset_at_close();
        }
    }
}

async fn connect(context: &Context, preface: Vec<u8>) -> Result<Socket, UpstreamError> {
    let mut socket = context.upstream.connect(Priority::First, "").await?;
    // Into the buffer of a new socket, which holds more than this.
    socket.write_all(&preface).await?;
    Ok(socket)
}
