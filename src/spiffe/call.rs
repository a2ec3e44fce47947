//! One call of `FetchX509SVID`: HTTP/2 over the Unix socket, from the connection to its end.

use std::future::pending;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{self, SendRequest};
use h2::{Ping, PingPong, RecvStream};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::Error;
use super::messages::Messages;
use super::response::Response;

/// For the connection, and from the request to the first answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between PINGs to an agent that has answered. A stopped one keeps its socket, and rotations would be missed
/// unseen. gRPC servers, agents among them, end connections that ping more often than every five minutes.
const PING_EVERY: Duration = Duration::from_mins(6);
/// What the agent may send ahead; an answer is some kilobytes.
const WINDOW: u32 = 1 << 20;
/// An empty message: no flag, no length (gRPC over HTTP/2).
const EMPTY: &[u8] = &[0; 5];

/// Delivers each answer until the call ends.
pub(super) async fn fetch(socket: &Path, mut deliver: impl FnMut(Response)) -> Error {
    match stream(socket, &mut deliver).await {
        Ok(error) | Err(error) => error,
    }
}

async fn stream(socket: &Path, deliver: &mut impl FnMut(Response)) -> Result<Error, Error> {
    let silent = |_| Error::Silent(PATIENCE.as_secs());
    let stream = timeout(PATIENCE, UnixStream::connect(socket));
    let stream = stream.await.map_err(silent)?.map_err(Error::Connect)?;
    let mut settings = client::Builder::new();
    settings
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_header_list_size(16 << 10)
        .enable_push(false);
    let (sender, mut connection) = timeout(PATIENCE, settings.handshake::<_, Bytes>(stream))
        .await
        .map_err(silent)??;
    let pings = connection.ping_pong();
    // No task of its own: it ends with the call, and a panic of it is one of the call's.
    let moves = async {
        let _ = connection.await;
        // The call has its own error.
        pending().await
    };
    tokio::select! {
        ended = talk(sender, pings, deliver) => ended,
        never = moves => never,
    }
}

async fn talk(
    sender: SendRequest<Bytes>,
    mut pings: Option<PingPong>,
    deliver: &mut impl FnMut(Response),
) -> Result<Error, Error> {
    let silent = |_| Error::Silent(PATIENCE.as_secs());
    let (response, mut body) = sender.ready().await?.send_request(request()?, false)?;
    body.send_data(Bytes::from_static(EMPTY), true)?;
    let response = timeout(PATIENCE, response).await.map_err(silent)??;
    let (head, mut body) = response.into_parts();
    if head.status != StatusCode::OK {
        return Err(Error::Protocol(format!("it answers {}", head.status)));
    }
    if let Some(status) = status(&head.headers) {
        return Ok(status);
    }
    let mut messages = Messages::default();
    let mut answered = false;
    loop {
        let data = if answered {
            next(&mut body, pings.as_mut()).await?
        } else {
            timeout(PATIENCE, body.data()).await.map_err(silent)?
        };
        let Some(data) = data else { break };
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        messages.push(&data, |message| {
            answered = true;
            deliver(Response::decode(message)?);
            Ok(())
        })?;
    }
    let trailers = body.trailers().await?;
    Ok(trailers.as_ref().and_then(status).unwrap_or(Error::Ended))
}

/// The next bytes of an agent that is alive, however long they take.
async fn next(
    body: &mut RecvStream,
    pings: Option<&mut PingPong>,
) -> Result<Option<Result<Bytes, h2::Error>>, Error> {
    let Some(pings) = pings else {
        return Ok(body.data().await);
    };
    loop {
        if let Ok(data) = timeout(PING_EVERY, body.data()).await {
            return Ok(data);
        }
        let pong = timeout(PATIENCE, pings.ping(Ping::opaque())).await;
        pong.map_err(|_| Error::Stopped(PATIENCE.as_secs()))??;
    }
}

fn request() -> Result<Request<()>, Error> {
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri("http://localhost/SpiffeWorkloadAPI/FetchX509SVID")
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        // Without it agents refuse: a browser cannot send it (SPIFFE Workload Endpoint §6).
        .header("workload.spiffe.io", "true")
        .body(())
        .map_err(|error| Error::Protocol(error.to_string()))
}

fn status(fields: &HeaderMap) -> Option<Error> {
    let field = |name| fields.get(name)?.to_str().ok();
    let code = field("grpc-status")?.parse().unwrap_or(2);
    Some(Error::of_status(
        code,
        field("grpc-message").unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use tokio::net::UnixListener;
    use tokio::sync::Notify;

    use super::*;

    /// It answers once; from the notice on it does nothing, but its socket stays, as of a stopped process.
    async fn agent(listener: UnixListener, stop: Arc<Notify>) {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut body = respond
            .send_response(http::Response::new(()), false)
            .unwrap();
        body.send_data(Bytes::from_static(EMPTY), false).unwrap();
        let running = async { while connection.accept().await.is_some() {} };
        tokio::select! {
            () = running => {}
            () = stop.notified() => pending().await,
        }
    }

    /// Waits for minutes, which pass at once here.
    async fn ends(stops: bool) -> Option<Error> {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent.sock");
        let stop = Arc::new(Notify::new());
        let listener = UnixListener::bind(&socket).unwrap();
        let agent = tokio::spawn(agent(listener, Arc::clone(&stop)));
        let fetched = fetch(&socket, |_| {
            if stops {
                stop.notify_one();
            }
        });
        let ended = timeout(Duration::from_hours(24), fetched).await.ok();
        agent.abort();
        ended
    }

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_has_stopped_is_noticed() {
        let ended = ends(true).await;
        assert!(matches!(ended, Some(Error::Stopped(30))), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_nothing_to_say_is_left_alone() {
        let ended = ends(false).await;
        assert!(ended.is_none(), "{ended:?}");
    }
}
