//! `hybridge ctl cbom`: what a running sidecar is configured for and has negotiated, as a bill of materials.

mod egress;
mod observed;

use std::io::{self, Write};
use std::time::SystemTime;

use hybridge_scan::args::CbomVersion;
use hybridge_scan::cbom::{self, Service};
use hybridge_scan::certificate::Certificate;
use serde::Deserialize;

use self::egress::Egress;
use self::observed::{Handshakes, handshakes, listed, named};
use super::error::Error;
use crate::cli::scheme;
use crate::redact::printable_json;
use crate::tls::credentials::unix_seconds;

/// The page `/status`, as far as a bill needs it.
#[derive(Deserialize)]
pub(super) struct Status {
    version: String,
    listeners: Vec<Listener>,
    #[serde(default)]
    egresses: Vec<Egress>,
}

#[derive(Deserialize)]
struct Listener {
    name: String,
    addresses: Vec<String>,
    protocol: String,
    policy: String,
    groups: Vec<String>,
    cipher_suites: Vec<String>,
    certificate: Option<Certificate>,
    #[serde(default)]
    certificates: Vec<Pair>,
    #[serde(default)]
    handshakes: Handshakes,
    #[serde(default)]
    census: Option<Census>,
}

/// One of several certificates.
#[derive(Deserialize)]
struct Pair {
    certificate: Option<Certificate>,
}

#[derive(Deserialize)]
struct Census {
    since: String,
    served: u64,
    classical: u64,
}

pub(super) fn write(
    status: &Status,
    version: CbomVersion,
    out: &mut impl Write,
) -> Result<(), Error> {
    let services = status.listeners.iter();
    let mut services: Vec<Service> = services
        .map(|listener| service(listener, &status.version))
        .collect();
    let egresses = status.egresses.iter();
    services.extend(egresses.map(|egress| egress.service(&status.version)));
    let bill = cbom::bill(&services, version, unix_seconds(SystemTime::now()));
    let json = serde_json::to_string_pretty(&bill).map_err(io::Error::from)?;
    writeln!(out, "{}", printable_json(&json))?;
    Ok(())
}

fn service(listener: &Listener, version: &str) -> Service {
    let scheme = scheme(&listener.protocol);
    let endpoints = listener.addresses.iter();
    let several = listener.certificates.iter();
    let mut certificates: Vec<Certificate> = several
        .filter_map(|pair| pair.certificate.clone())
        .collect();
    if certificates.is_empty() {
        certificates.extend(listener.certificate.clone());
    }
    Service {
        name: listener.name.clone(),
        endpoints: endpoints.map(|at| format!("{scheme}://{at}")).collect(),
        // The only version that it speaks.
        versions: vec!["1.3".to_owned()],
        groups: listed(&listener.groups),
        suites: listener.cipher_suites.clone(),
        schemes: Vec::new(),
        certificates,
        properties: properties(listener, version),
    }
}

/// What was observed since the process began.
fn properties(listener: &Listener, version: &str) -> Vec<(String, String)> {
    let mut all = vec![
        named("version", version.to_owned()),
        named("policy", listener.policy.clone()),
    ];
    all.extend(handshakes(&listener.handshakes));
    if let Some(census) = &listener.census {
        all.push(named("observed:since", census.since.clone()));
        all.push(named("observed:served", census.served.to_string()));
        let classical = census.classical.to_string();
        all.push(named("observed:served-without-hybrid", classical));
    }
    all
}
