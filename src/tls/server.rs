//! One listener's TLS side, built once: a ServerConfig for each group the policy admits.
//!
//! rustls follows the client's order of groups, so a policy cannot be an order. Each config knows a
//! single group; the policy picks the config after it has seen the hello, and rustls asks for a
//! missing share with a HelloRetryRequest by itself. Tickets, certificates and ALPN are shared.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ProducesTickets, ResolvesServerCert};

use super::Settings;
use super::certificates::CertificateSet;
use super::hello;
use super::plaintext::{Begins, PlaintextHook};
use super::policy::{Group, Offer, TlsPolicy, VERSIONS};
use super::queue::HandshakeQueue;
use super::signing::SigningThreads;
use super::trust::TrustStore;
use crate::fairness::{FairSet, SourceRate};
use crate::panics::OnPanic;

/// Bytes of early data that are tried and dropped (RFC 8446 §4.2.10): clients may come with a ticket of
/// the server that was here before. rustls keeps the records and tries them again with each one that
/// follows, so that this is a multiple of the 16 KiB that servers allow.
const SKIPPED_EARLY_DATA: u32 = 256 * 1024;

/// Everything a handshake on one listener needs.
pub struct TlsServer {
    policy: TlsPolicy,
    configs: Vec<(Group, Arc<ServerConfig>)>,
    /// Clients are asked for a certificate.
    pub(super) asks_clients: bool,
    /// From the accepted connection to the finished handshake.
    pub(super) timeout: Duration,
    /// Handshakes that wait for their client. Those that wait for the worker are in its queue.
    pub(super) half_open: Arc<FairSet>,
    max_handshakes: usize,
    /// How often each source may begin a handshake.
    rate: Option<SourceRate>,
    plaintext: Option<PlaintextHook>,
    /// Somebody wants to know what clients call the server.
    pub(super) wants_server_name: bool,
    /// Somebody counts clients that list no hybrid group.
    pub(super) wants_classical: bool,
    /// Clients that ask for another name are refused.
    names: Option<Arc<CertificateSet>>,
    /// Somebody wants the certificates that clients present.
    pub(super) wants_chain: bool,
    /// Where handshakes wait for the token that signs, if one does.
    pub(super) signing: Option<Arc<SigningThreads>>,
}

impl TlsServer {
    /// Builds the configs; `alpn` in order of preference, empty for raw TCP. Without `trust` it is an
    /// error to have settings that ask clients for a certificate.
    pub fn new(
        settings: &Settings,
        certificates: &Arc<dyn ResolvesServerCert>,
        trust: Option<&TrustStore>,
        alpn: &[&[u8]],
    ) -> Result<Self, rustls::Error> {
        if settings.client_auth.is_some() != trust.is_some() {
            let fault = "client-auth without the CAs it needs";
            return Err(rustls::Error::General(fault.to_owned()));
        }
        // rustls's own tickets would be good whatever clients have to show by then: see `with_tickets`.
        let tickets = trust.map_or(settings.tickets, |_| 0);
        let ticketer = match tickets {
            0 => None,
            _ => Some(rustls::crypto::aws_lc_rs::Ticketer::new()?),
        };
        let build = |group: &Group| {
            let provider = Arc::new(settings.policy.provider(*group));
            let builder =
                ServerConfig::builder_with_provider(provider).with_protocol_versions(VERSIONS)?;
            let builder = match trust {
                Some(trust) => builder.with_client_cert_verifier(trust.verifier()),
                None => builder.with_no_client_auth(),
            };
            let mut config = builder.with_cert_resolver(Arc::clone(certificates));
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            // The listener's order of suites, not the client's: it knows what this CPU is good at.
            config.ignore_client_order = true;
            config.send_tls13_tickets = tickets;
            config.max_early_data_size = 0;
            // Records are protected here, not by rustls: see `stream`.
            config.enable_secret_extraction = true;
            config.session_storage = Arc::new(NoServerSessionStorage {});
            if let Some(ticketer) = &ticketer {
                config.ticketer = Arc::clone(ticketer);
            }
            Ok((*group, Arc::new(config)))
        };
        Ok(Self {
            configs: settings
                .policy
                .groups()
                .iter()
                .map(build)
                .collect::<Result<_, rustls::Error>>()?,
            policy: settings.policy.clone(),
            asks_clients: trust.is_some(),
            timeout: settings.handshake_timeout,
            half_open: FairSet::new(settings.max_handshakes),
            max_handshakes: settings.max_handshakes,
            rate: settings.handshake_rate_per_source.map(SourceRate::new),
            plaintext: None,
            wants_server_name: false,
            wants_classical: false,
            names: None,
            wants_chain: false,
            signing: None,
        })
    }

    /// Recognises clients that speak this protocol without TLS, and answers them.
    #[must_use]
    pub fn with_plaintext(self, hook: PlaintextHook) -> Self {
        Self {
            plaintext: Some(hook),
            ..self
        }
    }

    /// Keeps what a client calls the server, if that is wanted.
    #[must_use]
    pub fn with_server_name(self, wanted: bool) -> Self {
        Self {
            wants_server_name: wanted,
            ..self
        }
    }

    /// Keeps what clients are that list no hybrid group, if that is wanted.
    #[must_use]
    pub fn with_classical(self, wanted: bool) -> Self {
        Self {
            wants_classical: wanted,
            ..self
        }
    }

    /// Issues and accepts these tickets, `count` after each handshake.
    #[must_use]
    pub fn with_tickets(mut self, ticketer: &Arc<dyn ProducesTickets>, count: usize) -> Self {
        for (_, config) in &mut self.configs {
            let config = Arc::make_mut(config);
            config.ticketer = Arc::clone(ticketer);
            config.send_tls13_tickets = count;
        }
        self
    }

    /// Refuses clients that ask for a name that `names` does not have.
    #[must_use]
    pub fn with_names(self, names: Option<Arc<CertificateSet>>) -> Self {
        Self { names, ..self }
    }

    /// Whether the hello in these records asks for a name that is refused.
    pub(super) fn refuses_name_in(&self, records: &[u8]) -> bool {
        self.names.as_ref().is_some_and(|names| {
            let asked = hello::server_name(records);
            asked.is_some_and(|name| !names.knows(&name))
        })
    }

    /// Keeps the certificates that a client presents, if they are wanted.
    #[must_use]
    pub fn with_chain(self, wanted: bool) -> Self {
        Self {
            wants_chain: wanted,
            ..self
        }
    }

    /// Computes on these threads what a token may have to sign.
    #[must_use]
    pub fn with_signing(self, signing: Option<Arc<SigningThreads>>) -> Self {
        Self { signing, ..self }
    }

    pub(super) fn plaintext_begins(&self, first: &[u8]) -> Begins {
        self.plaintext
            .map_or(Begins::No, |hook| (hook.begins)(first))
    }

    pub(super) fn plaintext_reply(&self) -> Option<&'static [u8]> {
        self.plaintext.map(|hook| hook.reply)
    }

    /// Whether the source of the address may begin a handshake now; if so it is counted.
    pub fn may_begin(&self, client: IpAddr) -> bool {
        self.rate
            .as_ref()
            .is_none_or(|rate| rate.admit(client, Instant::now()))
    }

    /// From the accepted connection to the finished handshake.
    pub fn handshake_timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether clients are asked for a certificate.
    pub fn asks_clients(&self) -> bool {
        self.asks_clients
    }

    /// The promise this server keeps.
    pub fn policy(&self) -> &TlsPolicy {
        &self.policy
    }

    /// The queue of one of `workers` workers: `max-handshakes` wait in all of them together.
    pub fn queue(&self, workers: usize, panicked: OnPanic) -> Arc<HandshakeQueue> {
        HandshakeQueue::new(self.max_handshakes.div_ceil(workers.max(1)), panicked)
    }

    /// The config for this offer. Without a group in common it is one that refuses: rustls then
    /// answers `handshake_failure` before any key exchange is computed (RFC 8446 §4.1.1).
    pub(super) fn config_for(&self, offer: Option<&Offer>) -> Option<Arc<ServerConfig>> {
        let chosen = offer.and_then(|offer| self.policy.choose(offer));
        let wanted = chosen.or_else(|| self.policy.groups().first().copied())?;
        self.configs
            .iter()
            .find(|(group, _)| *group == wanted)
            .map(|(_, config)| Arc::clone(config))
    }

    /// Runs each key exchange once: the first of a process is slower by an order of magnitude.
    pub fn warm_up(&self) {
        for (group, _) in &self.configs {
            let exchange = group.key_exchange();
            if let Ok(active) = exchange.start() {
                let _ = exchange.start_and_complete(active.pub_key());
            }
        }
        super::policy::kx::take_elapsed();
    }
}

/// A config that drops the early data of one client. It is never accepted: that takes a ticket for it, and
/// this config issues none.
pub(super) fn skipping_early_data(config: &ServerConfig) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.max_early_data_size = SKIPPED_EARLY_DATA;
    config.send_tls13_tickets = 0;
    Arc::new(config)
}
