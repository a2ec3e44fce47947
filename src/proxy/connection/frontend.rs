//! The part of a listener that its workers share, before anything is added to it.

use std::sync::Arc;
use std::time::Instant;

use rustls::server::ResolvesServerCert;
use strum::VariantNames;

use super::Frontend;
use crate::census::{self, Census};
use crate::metrics::ListenerMetrics;
use crate::proxy::access_log::{AccessLog, SERVED, traffic_counters};
use crate::proxy::error::Outcome;
use crate::proxy::failure_log::FailureLog;
use crate::proxy::open_peers::OpenPeers;
use crate::proxy::plain_http::PLAIN_HTTP;
use crate::proxy::port_tunnel;
use crate::proxy::settings::{Protocol, Settings};
use crate::proxy::upstream::UpstreamPermits;
use crate::tls::credentials::ALGORITHM_LABELS;
use crate::tls::error::HandshakeError;
use crate::tls::server::TlsServer;
use crate::tls::trust::TrustStore;

impl Frontend {
    /// Builds the TLS side and announces the metrics.
    pub fn new(
        name: &str,
        tls: &crate::tls::Settings,
        settings: &Settings,
        certificates: &Arc<dyn ResolvesServerCert>,
        trust: Option<&TrustStore>,
        metrics: ListenerMetrics,
        permits: &Arc<UpstreamPermits>,
    ) -> Result<Self, rustls::Error> {
        let alpn: &[&[u8]] = match settings.protocol {
            Protocol::Http => &[b"h2", b"http/1.1", b"http/1.0"],
            Protocol::Tcp => &[],
            Protocol::Tunnel => &[b"http/1.1"],
        };
        let tls = TlsServer::new(tls, certificates, trust, alpn)?
            .with_plaintext(PLAIN_HTTP)
            .with_server_name(settings.upstream_proxy_protocol.says_tls())
            .with_chain(settings.identity.needs_certificate());
        tls.warm_up();
        metrics.announce(
            &HandshakeError::REASONS,
            Outcome::VARIANTS,
            &port_tunnel::upstream_reasons(settings.protocol),
        );
        if tls.asks_clients() {
            let results: Vec<_> = SERVED
                .into_iter()
                .chain(HandshakeError::client_certificates())
                .collect();
            metrics.announce_clients(&results, &ALGORITHM_LABELS);
        }
        let policy = tls.policy().mode().name();
        Ok(Self {
            tls,
            settings: Arc::new(settings.clone()),
            counters: traffic_counters(&metrics),
            streams: settings.stream_metrics.then(|| metrics.streams()),
            log: AccessLog::new(name, policy, metrics),
            failures: Arc::new(FailureLog::new(name, settings.upstream.to_string())),
            permits: Arc::clone(permits),
            signature: None,
            responses: None,
            peers: Arc::default(),
            census: Arc::new(Census::new(census::Settings::OFF, Instant::now())),
            own_ports: Arc::default(),
            traces: Arc::default(),
        })
    }

    /// Clients with a certificate that are connected.
    pub fn peers(&self) -> &Arc<OpenPeers> {
        &self.peers
    }

    /// The listener's metrics.
    pub fn metrics(&self) -> &Arc<ListenerMetrics> {
        &self.log.metrics
    }
}
