//! What access log and traces are told of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{Frontend, Service};
use crate::proxy::access_log::ConnectionSpan;
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

    /// Each request has a span; where there are none, the connection is one.
    pub(super) fn of_requests(
        &self,
        traces: Option<ConnectionTraces>,
    ) -> (Option<ConnectionTraces>, Option<Box<ConnectionSpan>>) {
        match (traces, self.settings.protocol) {
            (Some(traces), Protocol::Tcp | Protocol::Tunnel) => {
                (None, ConnectionSpan::begin(traces))
            }
            (traces, _) => (traces, None),
        }
    }
}

impl Service {
    /// Who hears of the requests of a connection.
    pub(super) fn observers(
        &self,
        client: SocketAddr,
        session: &Session,
        traces: Option<ConnectionTraces>,
    ) -> Option<Box<Observers>> {
        let log = RequestLog::of(&self.front.settings.access_log, client, session);
        let version = match session.alpn {
            Alpn::Http1 => "1.1",
            Alpn::Http2 => "2",
        };
        Observers::of(log, traces, version)
    }
}
