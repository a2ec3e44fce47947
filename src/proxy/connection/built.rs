//! What a listener's front end is given beside its settings.

use std::sync::Arc;

use rustls::server::ProducesTickets;

use super::Frontend;
use crate::census::Census;
use crate::proxy::open_peers::OpenPeers;
use crate::proxy::port_tunnel::OwnPorts;
use crate::signature::{ResponseSigner, Verifier};
use crate::tls::certificates::CertificateSet;
use crate::tls::signing::SigningThreads;
use crate::traces::Traces;

impl Frontend {
    /// Leads no tunnel to these.
    #[must_use]
    pub fn with_own_ports(self, own_ports: &Arc<OwnPorts>) -> Self {
        Self {
            own_ports: Arc::clone(own_ports),
            ..self
        }
    }

    /// Counts clients that list no hybrid group.
    #[must_use]
    pub fn with_census(self, census: &Arc<Census>) -> Self {
        Self {
            tls: self.tls.with_classical(census.is_on()),
            census: Arc::clone(census),
            ..self
        }
    }

    /// Issues and accepts these tickets, `count` after each handshake.
    #[must_use]
    pub fn with_tickets(self, ticketer: &Arc<dyn ProducesTickets>, count: usize) -> Self {
        Self {
            tls: self.tls.with_tickets(ticketer, count),
            ..self
        }
    }

    /// Refuses clients that ask for a name that `names` does not have.
    #[must_use]
    pub fn with_names(self, names: Option<Arc<CertificateSet>>) -> Self {
        let tls = self.tls.with_names(names);
        Self { tls, ..self }
    }

    /// Computes on these threads what a token may have to sign.
    #[must_use]
    pub fn with_signing(self, signing: Option<Arc<SigningThreads>>) -> Self {
        let tls = self.tls.with_signing(signing);
        Self { tls, ..self }
    }

    /// Signs responses.
    #[must_use]
    pub fn with_responses(self, responses: Option<Arc<ResponseSigner>>) -> Self {
        if responses.is_some() {
            self.log.metrics.announce_signed_responses();
        }
        Self { responses, ..self }
    }

    /// Verifies the signatures of requests.
    #[must_use]
    pub fn with_signature(self, signature: Option<Arc<Verifier>>) -> Self {
        if signature.is_some() {
            self.log.metrics.announce_signatures(Verifier::results());
        }
        Self { signature, ..self }
    }

    /// Counts connected clients where they were counted before.
    #[must_use]
    pub fn with_peers(self, peers: &Arc<OpenPeers>) -> Self {
        Self {
            peers: Arc::clone(peers),
            ..self
        }
    }

    /// Sends spans where these say.
    #[must_use]
    pub fn with_traces(self, traces: &Arc<Traces>) -> Self {
        Self {
            traces: Arc::clone(traces),
            ..self
        }
    }
}
