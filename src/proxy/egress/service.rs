//! The spine of an egress: one connection of an app from accepted to closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::app::App;
use super::capture::Unnamed;
use super::frontend::EgressFrontend;
use super::http::HttpSide;
use super::log::Closed;
use super::settings::Destination;
use super::tunnel;
use crate::drain::{Phase, Watch};
use crate::listener::Activity;
use crate::proxy::accepted::Accepted;
use crate::proxy::access_log::Open;
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::connect::Asked;
use crate::proxy::delivery::delivered;
use crate::proxy::end::{Sent, end};
use crate::proxy::error::{BROKEN_BODY, Outcome};
use crate::proxy::exchange::Exchange;
use crate::proxy::origin::{Connected, HTTP1, OriginError, ServerStream, Target};
use crate::proxy::settings::Timeouts;
use crate::proxy::tunnel::Relayed;
use crate::proxy::upstream::Priority;
use crate::tls::handshake::Session;
use crate::worker::Load;

/// One egress at one worker, as its connections see it.
pub struct EgressService {
    front: Arc<EgressFrontend>,
    /// Where the app speaks HTTP.
    http: Option<HttpSide>,
}

/// A server that is ready for the app's bytes.
struct Reached<P> {
    /// Boxed: it has the keys, and a future keeps room for each place that a value moves through.
    server: Box<H1<ServerStream>>,
    session: Session,
    address: SocketAddr,
    connecting: Duration,
    _permit: P,
}

impl EgressFrontend {
    /// A connection for an app that wants to reach `named`.
    async fn connect(&self, named: &Target) -> Result<Reached<impl Sized + use<>>, OriginError> {
        let patience = self.settings.connect_timeout;
        let permit = self.permits.socket(Priority::First, patience).await;
        let permit = permit.map_err(|_| OriginError::Overloaded)?;
        let to = &self.settings.destination;
        let alpn = to.is_tunnel().then_some(HTTP1);
        let connected = self.origin.connect(&to.via(named), alpn).await?;
        let Connected {
            stream,
            session,
            address,
            connecting,
        } = connected;
        let mut server = Box::new(H1::new(stream).telling(ServerStream::untaken));
        if to.is_tunnel()
            && let Err(error) = tunnel::open(&mut server, named, address).await
        {
            // The server may have refused ourselves, and not what we asked for.
            let refused = server.stream_mut().settle();
            let refused = refused.map(|alert| self.origin.refusal(alert, address, &session));
            return Err(refused.unwrap_or(error));
        }
        server.start_tunnel();
        Ok(Reached {
            server,
            session,
            address,
            connecting,
            _permit: permit,
        })
    }
}

/// What an app began.
enum Begun<C> {
    /// A stream to a server.
    Stream(C),
    /// Requests, the first of them to this target.
    Requests(Target),
    /// Nothing: it went away while it waited, or had asked for nothing in time.
    Gone(Outcome),
}

impl EgressFrontend {
    /// What an app begins, with the stream to its server if it wants one.
    async fn begin(
        &self,
        client: &mut H1<App>,
        closed: &mut Closed<'_>,
        (drain, activity): (&Watch, &Activity),
    ) -> Result<Begun<Reached<impl Sized + use<>>>, OriginError> {
        let asked = match self.destination(client, closed, (drain, activity)).await {
            Ok(asked) => asked,
            Err(Unnamed::Ended(outcome)) => return Ok(Begun::Gone(outcome)),
            Err(Unnamed::Refused(error)) => return Err(error),
        };
        // Nothing tells an idle connection from one that waits: all of them have work once something was said.
        if !activity.begin() {
            return Ok(Begun::Gone(Outcome::Shed));
        }
        match asked {
            Asked::Request(target) => Ok(Begun::Requests(target)),
            Asked::For(target) => tokio::select! {
                biased;
                reached = self.connect(&target) => Ok(Begun::Stream(reached?)),
                () = client.stream().left() => Ok(Begun::Gone(Outcome::ClientGone)),
            },
            Asked::Gone | Asked::Origin | Asked::Else(..) => {
                Err(OriginError::Capture("it named no target"))
            }
        }
    }
}

impl EgressService {
    /// One of `workers` services of an egress; must run inside its worker's runtime.
    pub fn new(front: &Arc<EgressFrontend>, load: &Arc<Load>, workers: usize) -> Self {
        let http = front.settings.serves_requests();
        let http = http.then(|| HttpSide::new(front, load, workers));
        Self {
            front: Arc::clone(front),
            http,
        }
    }

    /// Serves one connection from accepted to closed; `drain` is held until then.
    pub async fn serve(self: Arc<Self>, accepted: Accepted<TcpStream>, drain: Watch) {
        if let (Some(http), Destination::Target(target)) =
            (&self.http, &self.front.settings.destination)
        {
            return Box::pin(http.serve(&self.front, target, accepted, drain)).await;
        }
        let front = &*self.front;
        let _open = Open::new(&front.log.metrics);
        let mut closed = Closed::new(&front.log, accepted.client, accepted.at);
        let activity = accepted.permit.0.activity();
        let mut client = H1::new(App::new(accepted.io)).of_client(activity);
        // Boxed: an open connection does not hold what its handshake needed.
        let connected = tokio::select! {
            biased;
            () = drain.reached(Phase::Aborting) => None,
            begun = Box::pin(front.begin(&mut client, &mut closed, (&drain, &**activity))) => Some(begun),
        };
        let reached = match connected {
            Some(Ok(Begun::Stream(reached))) => reached,
            Some(Ok(Begun::Requests(target))) => {
                let Some(http) = &self.http else { return };
                let activity = Arc::clone(accepted.permit.0.activity());
                let app = (client, accepted.client.ip());
                let outcome = Box::pin(http.serve_named(front, &target, app, &drain, activity));
                return closed.ended(outcome.await, &drain);
            }
            Some(Ok(Begun::Gone(outcome))) => {
                if outcome != Outcome::Shed {
                    client.stream_mut().has_begun_nothing();
                }
                return closed.ended(outcome, &drain);
            }
            Some(Err(error)) => {
                return match front.refuse(&mut client, &error, &drain).await {
                    Outcome::Cut => closed.ended(Outcome::Cut, &drain),
                    _ => closed.failed(&error),
                };
            }
            None => return closed.ended(Outcome::Cut, &drain),
        };
        let Reached {
            mut server,
            session,
            address,
            connecting,
            _permit,
        } = reached;
        let traffic = server.stream().traffic().clone();
        closed.address = Some(address);
        closed.connecting = connecting;
        closed.session = Some(session.clone());
        if front.accept(&mut client).await.is_err() {
            return closed.ended(Outcome::ClientGone, &drain);
        }
        client.start_tunnel();
        let relayed = front.relay(&mut client, &mut server, &drain).await;
        let outcome = relayed.outcome;
        if client.stream().begins_tls() {
            front.log.double_tls(accepted.client, closed.target());
        }
        closed.tickets = server.stream().tickets();
        closed.traffic = traffic.totals();
        closed.refused_alert = server.stream().alert_sent();
        let refused = server.stream_mut().settle();
        if outcome == Outcome::UpstreamBroken && !relayed.is_whole && refused.is_none() {
            front.log.metrics.upstream_failed(BROKEN_BODY);
        }
        // The server hears at once how it ended; the app when it has everything that came.
        drop(server);
        let outcome = leave(&mut client, outcome, &drain).await;
        drop(client);
        match refused {
            Some(alert) if outcome != Outcome::Cut => {
                closed.failed(&front.origin.refusal(alert, address, &session));
            }
            _ => closed.ended(outcome, &drain),
        }
    }
}

/// Ends an app's connection, which has to have everything that came; how it really ended.
async fn leave(client: &mut H1<App>, outcome: Outcome, drain: &Watch) -> Outcome {
    match outcome {
        Outcome::Closed => end(client, Sent::Whole, outcome, Instant::now(), drain).await,
        Outcome::UpstreamBroken | Outcome::IdleTimeout => {
            delivered(|| client.stream().undelivered(), outcome, drain).await
        }
        _ => outcome,
    }
}

impl EgressFrontend {
    async fn relay(
        &self,
        client: &mut H1<App>,
        server: &mut H1<ServerStream>,
        drain: &Watch,
    ) -> Relayed {
        let timeouts = Timeouts {
            idle: self.settings.idle_timeout,
            ..Timeouts::default()
        };
        let mut exchange = Exchange::new(client, server, timeouts).unbegun();
        tokio::select! {
            biased;
            ended = exchange.tunnel() => Relayed::from(&ended),
            () = drain.reached(Phase::Aborting) => Relayed {
                outcome: Outcome::Cut,
                is_whole: false,
            },
        }
    }
}
