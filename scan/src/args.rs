//! The options of `hybridge scan` and `hybridge probe`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::target::Target;

/// What an endpoint must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Require {
    /// A hybrid group is chosen even if the client lists classical groups first
    Hybrid,
    /// Nothing classical is accepted, TLS 1.2 and older included
    Enforced,
    /// The key exchange of CNSA 2.0: MLKEM1024 or, as the transition, SecP384r1MLKEM1024, nothing else, TLS 1.3
    Cnsa2,
}

/// How the report is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// Every finding, schema hybridge-scan/1; what --baseline reads
    Json,
    /// For people too: one HTML file that needs nothing else, with what government agencies ask for
    Html,
    /// CycloneDX, a cryptography bill of materials
    Cbom,
}

/// The version of CycloneDX.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum CbomVersion {
    /// 1.6
    #[value(name = "1.6")]
    V16,
    /// 1.7: with TLS groups, signature schemes and fingerprints
    #[default]
    #[value(name = "1.7")]
    V17,
}

/// Options of `hybridge scan`.
#[derive(Args, Clone, Debug)]
pub struct ScanArgs {
    /// Endpoints: HOST, HOST:PORT or https:// URLs
    #[arg(value_name = "HOST:PORT")]
    pub endpoints: Vec<Target>,
    /// File with one endpoint per line, `#` for comments; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub targets: Option<PathBuf>,
    /// Services, Ingresses, Gateways and EndpointSlices as `kubectl get -A -o json` prints them; `-` is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub kubectl: Option<PathBuf>,
    /// Exit with 1 unless every endpoint meets this
    #[arg(long, value_name = "WHAT")]
    pub require: Option<Require>,
    /// Exit with 1 if an endpoint is worse than in this JSON report
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// An endpoint that cannot be examined does not make the exit code 1
    #[arg(long)]
    pub allow_unreachable: bool,
    /// Send large and split hellos too, eleven more connections per endpoint
    #[arg(long)]
    pub doctor: bool,
    /// How the report is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub format: Format,
    /// Version of CycloneDX
    #[arg(long, value_name = "VERSION", default_value = "1.7")]
    pub cbom_version: CbomVersion,
    /// Endpoints examined at the same time
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub parallel: u16,
    /// For each connection and each answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub timeout: Duration,
    /// Years for which the traffic must stay secret
    #[arg(long, value_name = "YEARS", default_value_t = 10)]
    pub keep_secret: u16,
    /// Years that the migration takes
    #[arg(long, value_name = "YEARS", default_value_t = 3)]
    pub migration: u16,
    /// Year in which a quantum computer that breaks classical key exchange is assumed
    #[arg(long, value_name = "YEAR", default_value_t = 2035)]
    pub quantum_by: u16,
}

/// Options of `hybridge probe`.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// https:// URL, HOST or HOST:PORT
    #[arg(value_name = "URL")]
    pub url: String,
    /// File with the CAs to trust [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Groups to offer, in order, by name as `hybridge run --groups` takes them [default: every group,
    /// hybrid ones first]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub groups: Vec<String>,
    /// Send GET for the URL's path and show the status and what the server says of the key exchange
    #[arg(long)]
    pub http: bool,
    /// For the connection and for the handshake, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub timeout: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.05..=300.0).contains(&number) => Ok(Duration::from_secs_f64(number)),
        _ => Err("a number of seconds from 0.05 to 300".to_owned()),
    }
}
