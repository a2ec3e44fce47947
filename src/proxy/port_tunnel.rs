//! The far end of a tunnel (`protocol = "tunnel"`): inside TLS the client names a port of this pod by CONNECT,
//! and bytes go both ways. One port carries all those of the pod that the operator allows.

mod reach;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use self::reach::OutOfReach;
pub use self::reach::OwnPorts;
use crate::io::ClientStream;
use crate::log_limit::log_admitted;
use crate::proxy::arrival::{begun_too_late, overdue};
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::connect::{self, Asked};
use crate::proxy::context::Context;
use crate::proxy::end::{Sent, end};
use crate::proxy::error::{Outcome, UpstreamError};
use crate::proxy::failure_log::TUNNEL;
use crate::proxy::settings::{Protocol, UpstreamAddr};
use crate::proxy::tunnel::{self, OpenEnd};
use crate::tls::handshake::Session;

/// The reasons of a client that gets no tunnel, beside those of upstreams: a port that none leads to, and a head
/// that is no CONNECT.
const TARGET_REFUSED: &str = "target_refused";
const CAPTURE: &str = "capture";

/// Every reason of a listener's upstream side, for metrics that start at zero.
pub(crate) fn upstream_reasons(protocol: Protocol) -> Vec<&'static str> {
    let of_tunnels: &[_] = match protocol {
        Protocol::Tunnel => &[TARGET_REFUSED, CAPTURE],
        Protocol::Http | Protocol::Tcp => &[],
    };
    [&UpstreamError::REASONS[..], of_tunnels].concat()
}

/// The client of a tunnel.
pub(crate) struct Visitor {
    pub(crate) client: SocketAddr,
    /// By its certificate.
    pub(crate) peer: Option<String>,
    /// Our end of its connection: an address of this pod.
    pub(crate) local: Option<SocketAddr>,
}

impl Visitor {
    pub(crate) fn new(client: SocketAddr, local: Option<SocketAddr>, session: &Session) -> Self {
        Self {
            client,
            peer: session.peer.as_ref().map(ToString::to_string),
            local,
        }
    }
}

/// Why a client gets no tunnel.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{1}")]
    Head(u16, &'static str),
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    #[error("{1}: {0}")]
    Upstream(UpstreamError, SocketAddr),
}

impl Refusal {
    fn reason(&self) -> &'static str {
        match self {
            Self::Head(..) => CAPTURE,
            Self::OutOfReach(_) => TARGET_REFUSED,
            Self::Upstream(error, _) => error.reason(),
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Head(status, _) => *status,
            Self::OutOfReach(_) => 403,
            Self::Upstream(error, _) => error.status(),
        }
    }

    fn outcome(&self) -> Outcome {
        match self {
            Self::Upstream(..) => Outcome::UpstreamBroken,
            Self::Head(408, _) => Outcome::Timeout,
            _ => Outcome::ProtocolError,
        }
    }
}

/// Serves one client after its handshake. No `async fn`: that would hold its arguments twice.
pub(crate) fn serve<S: ClientStream>(
    stream: S,
    context: Context,
    own: Arc<OwnPorts>,
    visitor: Visitor,
) -> impl Future<Output = Outcome> + Send {
    let mut client = H1::new(stream).of_client(&context.activity);
    async move {
        let asked = match asked(&mut client, &context).await {
            Ok(Asked::Gone) => return Outcome::ClientGone,
            // Nothing tells an idle tunnel from one that waits: all of them have work.
            Ok(asked) if context.activity.begin() => asked,
            unasked => {
                let (outcome, now) = (unasked.err().unwrap_or(Outcome::Shed), Instant::now());
                return end(&mut client, Sent::Whole, outcome, now, &context.drain).await;
            }
        };
        let target = match &asked {
            Asked::For(target) | Asked::Request(target) => Some(target.to_string()),
            _ => None,
        };
        let log = Log {
            listener: context.listener(),
            visitor: &visitor,
            target: target.as_deref(),
        };
        let (mut up, address) = match open(&asked, &context, &own, &visitor).await {
            Ok(opened) => opened,
            Err(refusal) => {
                context.metrics.upstream_failed(refusal.reason());
                log.refused(&refusal, context.failures.admit_refusal(TUNNEL));
                let reason = format!("hybridge: {}: {refusal}", refusal.reason());
                let told = connect::refuse(&mut client, refusal.status(), &reason).await;
                if told.is_err() {
                    return Outcome::ClientGone;
                }
                let (outcome, now) = (refusal.outcome(), Instant::now());
                return end(&mut client, Sent::Whole, outcome, now, &context.drain).await;
            }
        };
        log.opened(address);
        connect::established(&mut client);
        client.start_tunnel();
        let outcome = tunnel::run_from_nothing(&mut client, &mut up.stream, &context).await;
        let outcome = up.end(outcome, &context).await;
        let sent = match outcome {
            Outcome::ClientGone => return outcome,
            Outcome::Closed => Sent::Whole,
            _ => Sent::Broken,
        };
        end(&mut client, sent, outcome, Instant::now(), &context.drain).await
    }
}

/// The client's first head, or why nobody waits for it any longer. Until it is here, the client makes room when the
/// listener is full.
async fn asked<S: ClientStream>(client: &mut H1<S>, context: &Context) -> Result<Asked, Outcome> {
    let (activity, drain) = (&context.activity, &context.drain);
    activity.idle(Instant::now().into_std());
    let asking = async {
        tokio::select! {
            biased;
            begun = poll_fn(|cx| client.poll_readable(cx)) => {
                if begun.is_err() {
                    return Ok(Asked::Gone);
                }
            }
            () = activity.shed() => return Err(Outcome::Shed),
            // It asked for nothing: a drain does not wait for it.
            () = overdue(drain) => return Err(Outcome::Drained),
        }
        tokio::select! {
            biased;
            asked = connect::asked(client) => Ok(asked),
            () = activity.shed() => Err(Outcome::Shed),
            () = begun_too_late(drain) => Err(Outcome::Drained),
        }
    };
    match timeout(context.settings.head_timeout, asking).await {
        Ok(asked) => asked,
        Err(_) if client.is_drained() => Err(Outcome::Timeout),
        Err(_) => Ok(Asked::Else(408, "the head was not complete in time")),
    }
}

/// A connection to what the client named. It is reset if anything but an orderly end closes it.
async fn open(
    asked: &Asked,
    context: &Context,
    own: &OwnPorts,
    visitor: &Visitor,
) -> Result<(OpenEnd, SocketAddr), Refusal> {
    let target = match asked {
        Asked::For(target) => target,
        Asked::Else(status, reason) => return Err(Refusal::Head(*status, reason)),
        Asked::Request(_) | Asked::Origin | Asked::Gone => {
            return Err(Refusal::Head(
                400,
                "this port is the far end of a tunnel: it takes CONNECT HOST:PORT",
            ));
        }
    };
    let UpstreamAddr::Tunnel(reach) = &context.settings.upstream else {
        return Err(OutOfReach::Port(target.port()).into());
    };
    let mut failed = None;
    for address in reach.addresses(target, own, visitor.local)? {
        match context.upstream.connect_to(address).await {
            Ok(socket) => {
                return Ok((OpenEnd::new(socket), address));
            }
            Err(error) => failed = Some(Refusal::Upstream(error, address)),
        }
    }
    Err(failed.unwrap_or_else(|| OutOfReach::Port(target.port()).into()))
}

/// Every CONNECT is a line, of refused ones ten a second: who, and where to.
struct Log<'a> {
    listener: &'a str,
    visitor: &'a Visitor,
    target: Option<&'a str>,
}

impl Log<'_> {
    fn opened(&self, address: SocketAddr) {
        tracing::info!(
            listener = %self.listener,
            client = %self.visitor.client,
            peer = self.visitor.peer,
            target = self.target,
            %address,
            "tunnel opened"
        );
    }

    fn refused(&self, refusal: &Refusal, admitted: Option<u64>) {
        log_admitted!(
            warn,
            admitted,
            "tunnel refused",
            listener = %self.listener,
            client = %self.visitor.client,
            peer = self.visitor.peer,
            target = self.target,
            reason = refusal.reason(),
            error = %refusal
        );
    }
}
