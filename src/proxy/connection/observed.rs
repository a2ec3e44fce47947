//! What access log and traces are told of a connection.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use super::{Frontend, Service};
use crate::proxy::access_log::ConnectionSpan;
use crate::proxy::handshake_sample::sample;
use crate::proxy::observers::Observers;
use crate::proxy::request_log::RequestLog;
use crate::proxy::settings::Protocol;
use crate::tls::handshake::{Alpn, HandshakeKind, Session};
use crate::traces::{ConnectionTraces, Exporter, Facts};

impl Frontend {
    /// Where the spans of a connection go.
    #[cold]
    pub(super) fn connection_traces(
        &self,
        exporter: Arc<Exporter>,
        session: &Session,
        server: Option<SocketAddr>,
    ) -> ConnectionTraces {
        let facts = Facts {
            listener: self.log.listener.clone(),
            protocol: match self.settings.protocol {
                Protocol::Http => "http",
                Protocol::Tcp => "tcp",
                Protocol::Tunnel => "tunnel",
            },
            group: session.group.name(),
            class: session.group.class().as_str(),
            suite: session.suite,
            resumed: session.kind == HandshakeKind::Resumed,
            port: server.map(|server| server.port()),
        };
        ConnectionTraces::new(exporter, facts)
    }

    /// A handshake is complete: census and metrics hear of it.
    pub(super) fn secured(&self, begun: Instant, client: IpAddr, session: &mut Session) {
        let hello = session.classical.take();
        let peer = session.peer.as_deref();
        self.census.served(begun, client, hello.as_deref(), peer);
        if self.tls.asks_clients() {
            self.log.client_served(peer);
        }
        self.log.metrics.handshake(&sample(session));
    }
}

impl Service {
    /// Who hears of the requests of a connection. Where there are none, the connection is one span.
    pub(super) fn observe(
        &self,
        exporter: Option<Arc<Exporter>>,
        session: &Session,
        (client, server): (SocketAddr, Option<SocketAddr>),
    ) -> (Option<Box<Observers>>, Option<Box<ConnectionSpan>>) {
        let traces = exporter.map(|to| self.front.connection_traces(to, session, server));
        let (traces, span) = match self.front.settings.protocol {
            Protocol::Http => (traces, None),
            Protocol::Tcp | Protocol::Tunnel => (None, traces.and_then(ConnectionSpan::begin)),
        };
        let log = RequestLog::of(&self.front.settings.access_log, client, session);
        let version = match session.alpn {
            Alpn::Http1 => "1.1",
            Alpn::Http2 => "2",
        };
        (Observers::of(log, traces, version), span)
    }
}
