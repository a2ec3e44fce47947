//! What can be said of a configuration before it runs: its certificates, and what the process may hold.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::Error;
use super::ready::{certificate_set, ticket_keys, trust};
use crate::admin;
use crate::budget::{Asked, Budget, Demand, Resources};
use crate::config::Config;
use crate::tls::credentials::{Warning, rfc3339, unix_seconds};

/// Loads every certificate of a configuration and describes it, as TOML comments; and warnings.
pub fn describe_certificates(config: &Config) -> Result<(String, Vec<String>), Error> {
    let mut text = String::new();
    let mut warnings = Vec::new();
    for listener in &config.listeners {
        let name = &listener.socket.name;
        let certificates = certificate_set(name, &listener.tls, false)?;
        let of_pairs = certificates.warnings();
        warnings.extend(
            of_pairs
                .iter()
                .map(|warning| format!("listener `{name}`: {warning}")),
        );
        for store in certificates.stores() {
            let Some(pair) = store.current() else {
                continue;
            };
            let facts = pair.facts();
            let soon = Warning::of_end(store.cert_path(), facts, unix_seconds(SystemTime::now()));
            warnings.extend(soon.map(|warning| format!("listener `{name}`: {warning}")));
            let _ = writeln!(
                text,
                "# certificate of `{name}`: {} ({}), names {}, valid until {}, sha256 {}",
                facts.subject,
                facts.key_algorithm,
                facts.names.join(" "),
                rfc3339(facts.not_after),
                facts.sha256,
            );
        }
        let trust = trust(name, listener.tls.client_auth.as_ref())?;
        if let Some(trust) = trust {
            let of_trust = trust.current();
            let of_trust = of_trust.warnings().iter();
            warnings.extend(of_trust.map(|warning| format!("listener `{name}`: {warning}")));
        }
        let keys = ticket_keys(name, &listener.tls)?;
        let of_keys = keys.as_ref().and_then(|keys| keys.warning());
        warnings.extend(of_keys.map(|warning| format!("listener `{name}`: {warning}")));
        if let Some(keys) = keys {
            let (active, others) = keys.ids();
            let count = others.len();
            let _ = writeln!(
                text,
                "# ticket keys of `{name}`: {active} seals, {count} more open"
            );
        }
    }
    Ok((text, warnings))
}

/// What the process may hold with this configuration; raises the soft limit of descriptors.
pub fn budget(config: &Config) -> Budget {
    let admin = if config.admin.addresses.is_empty() {
        0
    } else {
        admin::NETWORK_CONNECTIONS + admin::LOOPBACK_CONNECTIONS
    };
    let demand = Demand {
        listeners: config
            .listeners
            .iter()
            .map(|listener| Asked {
                connections: listener.socket.max_connections,
                explicit: listener.explicit_connections,
                handshakes: listener.tls.max_handshakes,
            })
            .collect(),
        admin,
        workers: config.workers,
    };
    Budget::new(&Resources::raise_descriptors(), &demand)
}
