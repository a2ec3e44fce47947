//! A TLS stream to a server that serves request after request: its evidence is written when it is closed,
//! wherever that happens.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::AsyncWrite as _;

use super::connect::{Connected, Origin};
use super::error::OriginError;
use super::stream::ServerStream;
use super::target::Target;
use crate::io::{ByteSource as _, Traffic};
use crate::tls::handshake::Session;

/// A TLS stream to a server, and what is known of it.
pub(crate) struct KeptStream {
    stream: ServerStream,
    origin: Arc<Origin>,
    target: String,
    address: SocketAddr,
    session: Session,
    connecting: Duration,
    traffic: Traffic,
    since: Instant,
    /// Whole messages went both ways: its end is told.
    orderly: bool,
}

impl KeptStream {
    pub(crate) fn new(connected: Connected, origin: &Arc<Origin>, target: &Target) -> Self {
        let Connected {
            stream,
            session,
            address,
            connecting,
        } = connected;
        Self {
            traffic: stream.traffic().clone(),
            stream,
            origin: Arc::clone(origin),
            target: target.to_string(),
            address,
            session,
            connecting,
            since: Instant::now(),
            orderly: false,
        }
    }

    /// Whether it may end by a close_notify: a request that broke off must not look like a whole one.
    pub(crate) fn set_orderly(&mut self, orderly: bool) {
        self.orderly = orderly;
    }

    /// The group of its keys.
    pub(crate) fn group(&self) -> &'static str {
        self.session.group.name()
    }

    /// Whether the server has neither closed it nor said anything that is for us. What TLS has to say to
    /// itself, such as a ticket, is read here.
    pub(crate) fn is_idle(&mut self) -> bool {
        let mut nothing = BytesMut::new();
        let mut cx = Context::from_waker(Waker::noop());
        self.stream.poll_append(&mut cx, &mut nothing).is_pending()
    }

    /// The server's refusal of us, if that is how it ended the connection. Said once.
    pub(crate) fn refusal(&mut self) -> Option<OriginError> {
        let alert = self.stream.settle()?;
        Some(self.origin.refusal(alert, self.address, &self.session))
    }
}

impl Deref for KeptStream {
    type Target = ServerStream;

    fn deref(&self) -> &ServerStream {
        &self.stream
    }
}

impl DerefMut for KeptStream {
    fn deref_mut(&mut self) -> &mut ServerStream {
        &mut self.stream
    }
}

impl Drop for KeptStream {
    fn drop(&mut self) {
        if self.orderly {
            // RFC 8446 §6.1. A socket without room for it has a server that does not read.
            let mut cx = Context::from_waker(Waker::noop());
            let _ = Pin::new(&mut self.stream).poll_shutdown(&mut cx);
        }
        let refused = self.refusal();
        if let Some(error) = &refused {
            self.origin.metrics.handshake_failed(error.reason());
        }
        let (session, traffic) = (&self.session, self.traffic.totals());
        tracing::debug!(
            listener = %self.origin.listener,
            role = "egress",
            target = %self.target,
            address = %self.address,
            reason = refused.as_ref().map(OriginError::reason),
            error = refused.as_ref().map(tracing::field::display),
            peer_id = session.peer.as_ref().map(tracing::field::display),
            group = session.group.name(),
            class = session.group.class().as_str(),
            kind = session.kind.as_str(),
            hello_retry = session.retried,
            suite = session.suite,
            connect_ms = self.connecting.as_secs_f64() * 1e3,
            handshake_bytes_in = session.cost.bytes_in,
            handshake_bytes_out = session.cost.bytes_out,
            handshake_ms = session.cost.elapsed.as_secs_f64() * 1e3,
            tickets = self.stream.tickets(),
            wire_bytes_in = traffic.wire_in,
            wire_bytes_out = traffic.wire_out,
            payload_bytes_in = traffic.payload_in,
            payload_bytes_out = traffic.payload_out,
            open_seconds = self.since.elapsed().as_secs_f64(),
            "origin connection closed"
        );
    }
}
