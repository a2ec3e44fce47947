//! The command line of `hybridge inject`; clap types only.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::socket;
use crate::inject::plan::Settings;

/// `hybridge inject`: without a subcommand the offline front.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct InjectArgs {
    /// The webhook or its certificates, instead of manifests.
    #[command(subcommand)]
    pub command: Option<InjectCommand>,
    /// Options of the offline front.
    #[command(flatten)]
    pub offline: OfflineArgs,
}

impl InjectArgs {
    /// Whether it writes files with keys, which a signal must not leave half done.
    pub fn makes_files(&self) -> bool {
        matches!(self.command, Some(InjectCommand::Certs(_)))
    }
}

/// Subcommands of `hybridge inject`.
#[derive(Clone, Debug, Subcommand)]
pub enum InjectCommand {
    /// Serve the mutating admission webhook.
    Serve(ServeArgs),
    /// Make, or check, the certificates of the webhook.
    Certs(CertsArgs),
    /// Report which pods have the sidecar and which lack it, from
    /// `kubectl get namespaces,mutatingwebhookconfigurations,pods -A -o json`.
    Status(ClusterArgs),
    /// Check a cluster before or after an installation, from what `kubectl get ... -A -o json` prints.
    Check(ClusterArgs),
}

/// Manifests in, injected manifests out.
#[derive(Args, Clone, Debug, Default)]
pub struct OfflineArgs {
    /// Manifest to inject, YAML or JSON; `-`, the default of a pipe, is standard input. May be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The same as -f FILE.
    #[arg(value_name = "FILE", conflicts_with = "files")]
    pub positional: Vec<PathBuf>,
    /// Print each step and its reason instead of the manifests.
    #[arg(long, conflicts_with = "check")]
    pub explain: bool,
    /// Print what would happen and fail if anything would change or be refused.
    #[arg(long)]
    pub check: bool,
    /// Take the sidecar out again instead of putting it in.
    #[arg(long, conflicts_with = "only_labelled")]
    pub remove: bool,
    /// Inject only pods that carry the label hybridge.dev/inject: enabled.
    #[arg(long)]
    pub only_labelled: bool,
    /// Settings shared with the webhook.
    #[command(flatten)]
    pub settings: Settings,
}

/// What kubectl printed, and the settings of the injector.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// Objects as JSON or YAML; `-`, the default, is standard input. May be repeated.
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Settings shared with the webhook.
    #[command(flatten)]
    pub settings: Settings,
}

/// The webhook server.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// Address of the webhook.
    #[arg(
        long,
        env = "HYBRIDGE_LISTEN",
        hide_env_values = true,
        default_value = "0.0.0.0:9443",
        value_parser = socket
    )]
    pub listen: SocketAddr,
    /// Certificate chain of the webhook, PEM; followed when it changes.
    #[arg(
        long,
        env = "HYBRIDGE_CERT",
        hide_env_values = true,
        default_value = "/etc/hybridge/tls/tls.crt"
    )]
    pub cert: PathBuf,
    /// Its private key, PEM.
    #[arg(
        long,
        env = "HYBRIDGE_KEY",
        hide_env_values = true,
        default_value = "/etc/hybridge/tls/tls.key"
    )]
    pub key: PathBuf,
    /// Plaintext address of /livez, /readyz and /metrics.
    #[arg(
        long,
        env = "HYBRIDGE_ADMIN",
        hide_env_values = true,
        default_value = "0.0.0.0:15400",
        value_parser = socket
    )]
    pub admin: SocketAddr,
    /// error, warn, info, debug or trace.
    #[arg(
        long,
        env = "HYBRIDGE_LOG_LEVEL",
        hide_env_values = true,
        default_value = "info"
    )]
    pub log_level: String,
    /// Settings shared with the offline front.
    #[command(flatten)]
    pub settings: Settings,
}

/// Certificates of the webhook.
#[derive(Args, Clone, Debug)]
pub struct CertsArgs {
    /// Namespace of the webhook's Service.
    #[arg(long, default_value = "hybridge-system")]
    pub namespace: String,
    /// Name of the webhook's Service; the certificate names SERVICE.NAMESPACE.svc.
    #[arg(long, default_value = "hybridge-injector")]
    pub service: String,
    /// Name of the Secret to print.
    #[arg(long, default_value = "hybridge-injector-tls")]
    pub secret: String,
    /// Name of the MutatingWebhookConfiguration to print the CA for.
    #[arg(long, default_value = "hybridge-injector")]
    pub webhook: String,
    /// Validity of CA and certificate.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
    /// PEM file with the CA of the certificate in use: both are trusted while the new one rolls out.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub previous_ca: Option<PathBuf>,
    /// Write secret.yaml and ca-bundle.yaml into this directory instead of printing them.
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub dir: Option<PathBuf>,
    /// Check this certificate (PEM, or the Secret as YAML) instead of making one.
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// With --check: fail when fewer than this many days are left.
    #[arg(long, default_value_t = 30, requires = "check")]
    pub warn_days: u32,
}
