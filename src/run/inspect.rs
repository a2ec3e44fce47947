//! What can be said of a configuration before it runs: its certificates, and what the process may hold.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use super::Error;
use super::egress::client_tls;
use super::loading::{certificates, responses, signature, ticket_keys, trust};
use super::tunnel_end::leads_home;
use crate::admin;
use crate::budget::{Asked, Budget, Demand, Resources};
use crate::config::{Config, ListenerConfig};
use crate::tls::client::ClientTls;
use crate::tls::credentials::{Warning, rfc3339, unix_seconds};
use crate::traces::ExporterError;

/// Loads every certificate of a configuration and describes it, as TOML comments; and warnings.
pub fn describe_certificates(config: &Config) -> Result<(String, Vec<String>), Error> {
    let mut text = String::new();
    let mut warnings = Vec::new();
    for listener in &config.listeners {
        leads_home(listener)?;
        let name = &listener.socket.name;
        let certificates = certificates(name, &listener.tls)?;
        let mut found = certificates.warnings();
        for store in certificates.stores() {
            let Some(pair) = store.current() else {
                continue;
            };
            let facts = pair.facts();
            let soon = Warning::of_end(store.cert_path(), facts, unix_seconds(SystemTime::now()));
            found.extend(soon.map(|warning| warning.to_string()));
            let _ = writeln!(
                text,
                "# certificate of `{name}`: {} ({}), names {}, valid until {}, sha256 {}",
                facts.title,
                facts.key_algorithm,
                facts.names.join(" "),
                rfc3339(facts.not_after),
                facts.sha256,
            );
        }
        if let Some(socket) = &listener.tls.spiffe {
            let socket = socket.display();
            let _ = writeln!(
                text,
                "# certificate of `{name}`: from the SPIFFE Workload API at unix:{socket}, not asked by this"
            );
        }
        if let Some(trust) = trust(name, &listener.tls)? {
            found.extend_from_slice(trust.current().warnings());
        }
        describe_signatures(config, listener, &mut text, &mut found)?;
        if let Some(signer) = responses(name, listener.responses.as_ref())? {
            found.extend(signer.warnings());
            let [classical, ml_dsa] = signer.key_ids();
            let _ = writeln!(
                text,
                "# responses of `{name}`: signed by {classical} (ECDSA) and {ml_dsa} (ML-DSA)"
            );
        }
        if let Some(keys) = ticket_keys(name, &listener.tls)? {
            found.extend(keys.warning());
            let (active, others) = keys.ids();
            let count = others.len();
            let _ = writeln!(
                text,
                "# ticket keys of `{name}`: {active} encrypts, {count} more decrypt"
            );
        }
        let found = found.into_iter();
        warnings.extend(found.map(|warning| format!("listener `{name}`: {warning}")));
    }
    describe_egresses(config, &mut text, &mut warnings)?;
    warnings.extend(collector_warnings(config)?);
    Ok((text, warnings))
}

/// Loads the keys of a listener's clients.
fn describe_signatures(
    config: &Config,
    listener: &ListenerConfig,
    text: &mut String,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let name = &listener.socket.name;
    let verifier = signature(name, listener.signature.as_ref(), &Arc::default())?;
    warnings.extend(verifier.iter().flat_map(|verifier| verifier.warnings()));
    if let Some(settings) = &listener.signature {
        let _ = writeln!(
            text,
            "# signatures of `{name}`: replay-table has room for {:.0} requests a second",
            settings.rate(
                config
                    .listeners
                    .iter()
                    .filter_map(|other| other.signature.as_ref())
            )
        );
    }
    Ok(())
}

/// Loads the CAs of the collector of traces, if there are any.
fn collector_warnings(config: &Config) -> Result<Vec<String>, Error> {
    let tls = config
        .traces
        .as_ref()
        .and_then(|traces| traces.tls.as_ref());
    let Some(settings) = tls else {
        return Ok(Vec::new());
    };
    let loaded = ClientTls::load(settings).map_err(ExporterError::Tls);
    let warnings = loaded.map_err(Error::Traces)?.warnings().into_iter();
    Ok(warnings
        .map(|warning| format!("traces: {warning}"))
        .collect())
}

/// The same for the egresses.
fn describe_egresses(
    config: &Config,
    text: &mut String,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    for egress in &config.egresses {
        let name = &egress.socket.name;
        // A directory under /run may be made only when the service starts.
        let of_sockets = egress.socket.unix.without_directory();
        warnings.extend(of_sockets.map(|warning| format!("egress `{name}`: {warning}")));
        let tls = client_tls(egress)?;
        let of_egress = tls.warnings();
        let of_egress = of_egress.iter();
        warnings.extend(of_egress.map(|warning| format!("egress `{name}`: {warning}")));
        let _ = writeln!(text, "# CAs of `{name}`: {}", tls.ca_count());
        if let Some(facts) = tls.facts() {
            let path = tls.settings().pair.as_ref().map(|(cert, _)| cert);
            let now = unix_seconds(SystemTime::now());
            let soon = path.and_then(|path| Warning::of_end(path, &facts, now));
            warnings.extend(soon.map(|warning| format!("egress `{name}`: {warning}")));
            let _ = writeln!(
                text,
                "# certificate of `{name}`: {} ({}), valid until {}, sha256 {}",
                facts.title,
                facts.key_algorithm,
                rfc3339(facts.not_after),
                facts.sha256,
            );
        }
    }
    Ok(())
}

/// What of a budget is news: settings that exceed it, defaults that gave way.
pub(super) fn log_budget(budget: &Budget) {
    for warning in budget.warnings() {
        tracing::warn!("{warning}");
    }
    if let Some(note) = budget.note() {
        tracing::info!("{note}");
    }
}

/// What the process may hold with this configuration; raises the soft limit of descriptors.
pub fn budget(config: &Config) -> Budget {
    let admin = if config.admin.addresses.is_empty() {
        0
    } else {
        admin::NETWORK_CONNECTIONS + admin::LOOPBACK_CONNECTIONS
    };
    let of_listeners = config.listeners.iter().map(|listener| Asked {
        connections: listener.socket.max_connections,
        explicit: listener.explicit_connections,
        handshakes: listener.tls.max_handshakes,
    });
    // Nobody outside begins the handshakes of an egress: each is one of its connections.
    let of_egresses = config.egresses.iter().map(|egress| Asked {
        connections: egress.socket.max_connections,
        explicit: egress.explicit_connections,
        handshakes: 0,
    });
    let signatures = config.listeners.iter().filter_map(|l| l.signature.as_ref());
    let agents = config.listeners.iter().filter(|l| l.tls.spiffe.is_some());
    let agents = agents.count();
    let demand = Demand {
        listeners: of_listeners.chain(of_egresses).collect(),
        admin,
        workers: config.workers,
        spans: config.traces.as_ref().map_or(0, |traces| traces.queue),
        replay: signatures.map(|settings| settings.replay_table).sum(),
        probes: config.probes.is_some(),
        egresses: config.egresses.len(),
        services: agents + usize::from(config.traces.is_some()),
    };
    Budget::new(&Resources::raise_descriptors(), &demand)
}
