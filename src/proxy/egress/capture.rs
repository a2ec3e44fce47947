//! What an app says of its target, in each of the ways that it can, and what it is told in turn.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::app::App;
use super::frontend::EgressFrontend;
use super::log::Closed;
use super::settings::{Capture, Destination};
use super::socks::{self, Reply};
use crate::drain::Watch;
use crate::io::Closing as _;
use crate::listener::Activity;
use crate::proxy::arrival::{begun_too_late, overdue};
use crate::proxy::codec::h1::connection::H1;
use crate::proxy::codec::message::MessageError;
use crate::proxy::connect::{self, Asked};
use crate::proxy::end::{Sent, end};
use crate::proxy::error::Outcome;
use crate::proxy::origin::OriginError;

/// How long an app may take to say where to.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

const NO_ORIGIN: &str =
    "this port is a forward proxy: it takes CONNECT HOST:PORT and GET http://HOST:PORT/";
const ONLY_CONNECT: &str = "this port leads to a tunnel: it takes CONNECT HOST:PORT only";

/// Why there is no target.
pub(super) enum Unnamed {
    /// None that is allowed.
    Refused(OriginError),
    /// The app said nothing in time; how its connection ends.
    Ended(Outcome),
}

impl From<OriginError> for Unnamed {
    fn from(error: OriginError) -> Self {
        Self::Refused(error)
    }
}

impl EgressFrontend {
    fn capture(&self) -> Capture {
        self.settings.destination.capture()
    }

    /// Where a connection goes: what the app says, if that is wanted and allowed. Until it has said so it makes
    /// room for others.
    pub(super) async fn destination(
        &self,
        client: &mut H1<App>,
        closed: &mut Closed<'_>,
        (drain, activity): (&Watch, &Activity),
    ) -> Result<Asked, Unnamed> {
        if let Destination::Target(target) = &self.settings.destination {
            return Ok(Asked::For(target.clone()));
        }
        let from = closed.client;
        let asked = if self.capture() == Capture::Redirect {
            self.named(client, from).await?
        } else {
            activity.idle(Instant::now().into_std());
            let end = Instant::now() + HEAD_TIMEOUT;
            // An app that has said nothing has nothing to lose, and must not hold up a drain.
            tokio::select! {
                biased;
                () = client.stream().spoken() => {}
                () = activity.shed() => return Err(Unnamed::Ended(Outcome::Shed)),
                () = overdue(drain) => return Err(Unnamed::Ended(Outcome::Drained)),
                () = sleep_until(end) => return Err(Unnamed::Ended(Outcome::Timeout)),
            }
            tokio::select! {
                biased;
                asked = self.named(client, from) => asked?,
                () = activity.shed() => return Err(Unnamed::Ended(Outcome::Shed)),
                () = begun_too_late(drain) => return Err(Unnamed::Ended(Outcome::Drained)),
                () = sleep_until(end) => return Err(OriginError::Unfinished(HEAD_TIMEOUT).into()),
            }
        };
        let (Asked::For(target) | Asked::Request(target)) = &asked else {
            return Ok(asked);
        };
        closed.named = Some(target.to_string());
        // A request is refused where it is served, as one behind it is.
        if self.allows(target) || matches!(asked, Asked::Request(_)) {
            return Ok(asked);
        }
        Err(OriginError::TargetRefused(target.to_string()).into())
    }

    /// What the app says, in its own way.
    async fn named(&self, client: &mut H1<App>, from: SocketAddr) -> Result<Asked, OriginError> {
        let (status, reason) = match self.capture() {
            Capture::Redirect => {
                let original = client.stream().original_destination();
                let original = original.ok_or(OriginError::NoDestination)?;
                if let Some(outgoing) = &self.origin.outgoing
                    && outgoing.contains(from, original)
                {
                    return Err(OriginError::Redirected(from));
                }
                return Ok(Asked::For(original.into()));
            }
            Capture::Socks5 => {
                let asked = socks::requested(client.stream_mut()).await;
                let asked = asked.map_err(|_| OriginError::Gone)?;
                let asked = asked.map(Asked::For);
                return asked.ok_or(OriginError::Capture("no SOCKS5 CONNECT to HOST:PORT"));
            }
            Capture::None | Capture::HttpProxy => match connect::asked(client).await {
                Asked::Request(_) if self.settings.destination.is_tunnel() => (400, ONLY_CONNECT),
                asked @ (Asked::For(_) | Asked::Request(_)) => return Ok(asked),
                Asked::Gone => return Err(OriginError::Gone),
                Asked::Origin => (400, NO_ORIGIN),
                Asked::Else(status, reason) => (status, reason),
            },
        };
        let _ = connect::refuse(client, status, reason).await;
        Err(OriginError::Capture(reason))
    }

    /// Tells the app that it is connected, where it waits for that.
    pub(super) async fn accept(&self, client: &mut H1<App>) -> Result<(), MessageError> {
        match self.capture() {
            Capture::None | Capture::Redirect => return Ok(()),
            Capture::Socks5 => socks::reply(client.stream_mut(), Reply::Succeeded).await?,
            Capture::HttpProxy => connect::established(client),
        }
        client.stream_mut().begins_anew();
        Ok(())
    }

    /// Tells the app that it is not, in its own words or by the reset of its close. What it still sends is taken in
    /// until it has read them: a socket closed with bytes unread is reset, and they are lost. How that ended.
    pub(super) async fn refuse(
        &self,
        client: &mut H1<App>,
        error: &OriginError,
        drain: &Watch,
    ) -> Outcome {
        let outcome = Outcome::ProtocolError;
        let told = match self.capture() {
            _ if matches!(error, OriginError::Capture(_) | OriginError::Gone) => Ok(()),
            Capture::None | Capture::Redirect => return outcome,
            // Before its methods are answered, a reply would pass for that answer.
            Capture::Socks5 if client.stream().written() == 0 => Ok(()),
            Capture::Socks5 => {
                let told = socks::reply(client.stream_mut(), Reply::of(error)).await;
                told.map_err(MessageError::Io)
            }
            Capture::HttpProxy => {
                let reason = format!("hybridge: {}: {error}", error.reason());
                connect::refuse(client, error.status(), &reason).await
            }
        };
        match told {
            Ok(()) => end(client, Sent::Whole, outcome, Instant::now(), drain).await,
            Err(_) => outcome,
        }
    }
}
