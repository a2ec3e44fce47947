//! `hybridge check --profile`: the findings as text, JSON or a CycloneDX bill of materials.
//!
//! It says which algorithms are used. Whether a system meets a requirement is for an assessor.

use std::fmt::Write as _;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use hybridge_scan::args::CbomVersion;
use hybridge_scan::cbom::{self, Service};
use hybridge_scan::certificate::describe;
use hybridge_scan::groups;
use serde_json::{Value, json};

use crate::config::{Config, EgressConfig, Flags, Key, ListenerConfig};
use crate::proxy::egress::Destination;
use crate::run::{Finding, ProfileCheck};
use crate::tls::credentials::unix_seconds;
use crate::tls::policy::{Profile, TlsPolicy};

/// Flags of `check`: those of `run`, and how a profile is checked.
#[derive(Args, Clone, Debug)]
pub struct Check {
    /// What would run.
    #[command(flatten)]
    pub flags: Flags,
    /// With --profile: how the findings are written
    #[arg(
        long,
        value_name = "FORMAT",
        requires = "profile",
        help_heading = "Process"
    )]
    pub format: Option<Format>,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One object, schema hybridge-check/1
    Json,
    /// A cryptography bill of materials, CycloneDX 1.7
    Cyclonedx,
}

impl Check {
    /// The profile of the command line, taken out of the flags: it checks what the others, environment
    /// and file say, and sets nothing.
    pub fn take_profile(&mut self) -> Option<String> {
        let settings = &mut self.flags.settings;
        let at = settings.iter().position(|(key, _)| *key == Key::Profile)?;
        Some(settings.remove(at).1)
    }
}

const NOTE: &str = "This says which algorithms are used, not that a system meets a requirement: this build has no validated module (FIPS 140), and an assessor sees the whole system.";

/// Whether every requirement of every listener is met.
pub fn passed(checks: &[ProfileCheck]) -> bool {
    let mut findings = checks.iter().flat_map(|listener| &listener.findings);
    findings.all(|finding| finding.passed)
}

/// The findings in a format, with a line break at the end.
pub fn report(
    config: &Config,
    checks: &[ProfileCheck],
    profile: Profile,
    format: Format,
) -> String {
    match format {
        Format::Text => text(checks, profile),
        Format::Json => pretty(&json_report(checks, profile)),
        Format::Cyclonedx => pretty(&bill(config, checks, profile)),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn verdict(finding: &Finding) -> &'static str {
    if finding.passed { "pass" } else { "fail" }
}

fn text(checks: &[ProfileCheck], profile: Profile) -> String {
    let mut text = String::new();
    let mut failed = 0;
    for listener in checks {
        let _ = writeln!(text, "listener `{}`", listener.listener);
        for finding in &listener.findings {
            let Finding {
                requirement, found, ..
            } = finding;
            let id = requirement.id();
            let _ = writeln!(text, "  {}  {id:<20} {found}", verdict(finding));
            if !finding.passed {
                failed += 1;
                let (wanted, source) = (requirement.wanted(profile), requirement.source());
                let _ = writeln!(text, "        {:<20} asked for: {wanted} ({source})", "");
            }
        }
    }
    let name = profile.name();
    let _ = match failed {
        0 => writeln!(text, "\nEverything here uses the algorithms of `{name}`."),
        1 => writeln!(text, "\n1 requirement of `{name}` is not met."),
        many => writeln!(text, "\n{many} requirements of `{name}` are not met."),
    };
    let _ = writeln!(text, "{NOTE}");
    text
}

fn json_report(checks: &[ProfileCheck], profile: Profile) -> Value {
    let rows = checks.iter().flat_map(|listener| {
        listener.findings.iter().map(|finding| {
            json!({
                "listener": listener.listener,
                "id": finding.requirement.id(),
                "source": finding.requirement.source(),
                "wanted": finding.requirement.wanted(profile),
                "found": finding.found,
                "result": verdict(finding),
            })
        })
    });
    json!({
        "schema": "hybridge-check/1",
        "version": crate::build::VERSIONS.hybridge,
        "at": now(),
        "profile": profile.name(),
        "result": if passed(checks) { "pass" } else { "fail" },
        "requirements": rows.collect::<Vec<_>>(),
        "note": NOTE,
    })
}

/// What a bill says of a listener or an egress beside its findings.
struct Side<'a> {
    endpoints: Vec<String>,
    policy: &'a TlsPolicy,
    properties: Vec<(String, String)>,
}

impl<'a> Side<'a> {
    fn listener(listener: &'a ListenerConfig) -> Self {
        let scheme = scheme(listener.proxy.protocol.name());
        let addresses = listener.socket.addresses.iter();
        Self {
            endpoints: addresses.map(|at| format!("{scheme}://{at}")).collect(),
            policy: &listener.tls.policy,
            properties: Vec::new(),
        }
    }

    fn egress(egress: &'a EgressConfig) -> Self {
        let scheme = scheme(egress.egress.protocol.name());
        let destination = &egress.egress.destination;
        let one = match destination {
            Destination::Target(target) => Some(format!("{scheme}://{target}")),
            // Apps name their targets.
            Destination::Named(_) => None,
        };
        let named = |name: &str, value| (format!("hybridge:{name}"), value);
        Self {
            endpoints: one.into_iter().collect(),
            policy: &egress.tls.policy,
            properties: vec![
                named("role", "egress".to_owned()),
                named("target", destination.to_string()),
            ],
        }
    }
}

/// Of endpoints of this protocol.
pub(crate) fn scheme(protocol: &str) -> &'static str {
    match protocol {
        "http" => "https",
        _ => "tls",
    }
}

fn bill(config: &Config, checks: &[ProfileCheck], profile: Profile) -> Value {
    let listeners = config.listeners.iter().map(Side::listener);
    let egresses = config.egresses.iter().map(Side::egress);
    // In the order of the findings.
    let services = listeners.chain(egresses).zip(checks).map(|(side, check)| {
        let policy = side.policy;
        let property = |finding: &Finding| {
            let id = finding.requirement.id();
            let name = format!("hybridge:profile:{}:{id}", profile.name());
            (name, format!("{}: {}", verdict(finding), finding.found))
        };
        let groups = policy.groups().iter().map(|group| group.name());
        let suites = policy.suites().iter().map(|suite| suite.name().to_owned());
        let certificates = check.certificates.iter();
        let mut properties = side.properties;
        properties.extend(check.findings.iter().map(property));
        Service {
            name: check.listener.clone(),
            endpoints: side.endpoints,
            versions: vec!["1.3".to_owned()],
            groups: groups.map(groups::as_listed).collect(),
            suites: suites.collect(),
            schemes: Vec::new(),
            certificates: certificates.filter_map(|der| describe(der)).collect(),
            properties,
        }
    });
    cbom::bill(&services.collect::<Vec<_>>(), CbomVersion::V17, now())
}

fn now() -> i64 {
    unix_seconds(SystemTime::now())
}
