//! The command line as clap sees it. The settings of `run` and `check` come from `config::Key`.

mod flags;
mod misplaced;
mod misspelt;
mod pages;
mod parse;
mod place;
mod profile_report;
mod secrets;
mod switch;

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand};

use crate::build;
use crate::certgen;
use crate::config::{Flags, host_socket};
use crate::inject;
use crate::ticket_keys;

pub use self::misplaced::{belongs_to, unmeant};
pub use self::misspelt::suggest_flag;
pub use self::pages::{Completions, ManPages};
pub use self::parse::parse;
pub(crate) use self::profile_report::scheme;
pub use self::profile_report::{Check, Format, passed, report};
pub use self::secrets::{clean, refuse_key_text, without_secrets};
pub use self::switch::refuse_switch_value;

/// Post-quantum TLS sidecar for AI inference.
#[derive(Debug, Parser)]
#[command(version, long_version = build::long_version(), max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the sidecar
    #[command(after_help = PRECEDENCE)]
    Run(Flags),
    /// Load a configuration, print what would run, and exit
    #[command(after_help = CHECK_CODES)]
    Check(Box<Check>),
    /// Try everything on this machine: a stub model server behind a hybrid and a classical port
    Demo(Demo),
    /// Make a CA and a server certificate to try with
    Certs(certgen::Args),
    /// Put the sidecar into Kubernetes manifests, or serve the webhook that does
    Inject(Box<inject::InjectArgs>),
    /// Make one TLS handshake as a client that knows hybrid groups, and show what it negotiated
    #[command(after_help = PROBE_CODES)]
    Probe(hybridge_scan::ProbeArgs),
    /// List what TLS endpoints accept: groups in order, hybrid or classical, certificates
    #[command(after_help = SCAN_CODES)]
    Scan(hybridge_scan::ScanArgs),
    #[command(flatten)]
    Artifact(hybridge_seal::args::Artifact),
    /// Make or rotate the keys of session tickets that several replicas share
    TicketKeys(TicketKeys),
    /// Talk to a sidecar on this host or in this pod through its admin port
    Ctl(Ctl),
    /// Print the completions of a shell: source <(hybridge completions bash)
    Completions(Completions),
    /// Write the man pages, one for each command
    Man(ManPages),
}

/// What serves traffic does not know the sealing, and reads the same bundles.
const _: () = assert!(crate::signature::MAX_BUNDLE == hybridge_seal::signature::bundle::MAX_BUNDLE);

const PRECEDENCE: &str = "\
Every option is also an environment variable: --head-timeout is HYBRIDGE_HEAD_TIMEOUT. A flag wins \
over the environment, the environment over the file, the file over the default; an empty variable \
counts as unset. The options describe one listener and one egress, a file any number.";

const CHECK_CODES: &str = "\
--profile checks what the other options, environment and file say, and sets nothing here. Exit code 0: \
it can run and, with --profile, every requirement is met. 1: a requirement is not met. 64: it cannot run.

Every option is also an environment variable: --head-timeout is HYBRIDGE_HEAD_TIMEOUT. A flag wins \
over the environment, the environment over the file, the file over the default; an empty variable \
counts as unset. The options describe one listener and one egress, a file any number.";

const PROBE_CODES: &str = "\
Exit code 0: hybrid or post-quantum key exchange, and a certificate that is trusted. 1: no handshake, \
or not trusted. 2: classical key exchange. 64: the command line is wrong.";

const SCAN_CODES: &str = "\
No request is sent, and no certificate is verified: private CAs are the norm inside clusters. \
Exit code 0: every endpoint was examined and meets --require. 1: one does not, is worse than in \
--baseline, or could not be examined. 64: the command line or a file is wrong.";

/// Where the demo listens.
#[derive(Args, Clone, Debug)]
pub struct Demo {
    /// Address of the hybrid listener
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8443", value_parser = host_socket)]
    pub listen: SocketAddr,
    /// Address of the listener that is classical for comparison
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8444", value_parser = host_socket)]
    pub classical_listen: SocketAddr,
    /// Address of the admin port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9443", value_parser = host_socket)]
    pub admin: SocketAddr,
    /// Address of the egress, where a client that knows no TLS connects; port 0 is a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = host_socket)]
    pub egress_listen: SocketAddr,
    /// Address of the admin port of the sidecar with the egress
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = host_socket)]
    pub egress_admin: SocketAddr,
    /// Only the stub model server, in plaintext at this address: a model server without a GPU
    #[arg(
        long,
        value_name = "ADDR",
        conflicts_with_all = ["listen", "classical_listen", "admin", "egress_listen", "egress_admin"],
        value_parser = host_socket
    )]
    pub stub: Option<SocketAddr>,
}

/// Work on a file of ticket keys.
#[derive(Args, Clone, Debug)]
pub struct TicketKeys {
    /// What to do with it.
    #[command(subcommand)]
    pub action: ticket_keys::Action,
}

/// A call to the admin port.
#[derive(Args, Clone, Debug)]
pub struct Ctl {
    /// What to ask for.
    #[command(subcommand)]
    pub action: Action,
    /// Admin port to talk to [env: HYBRIDGE_ADMIN] [default: 127.0.0.1:9443]
    #[arg(long, value_name = "ADDR", global = true)]
    pub admin: Option<String>,
}

/// What `ctl` asks for.
#[derive(Clone, Debug, Eq, PartialEq, Subcommand)]
pub enum Action {
    /// Become not ready, then refuse new connections; the process stays
    Drain,
    /// Exit 0 if the sidecar is ready, 1 if not
    Ready,
    /// Drain and end, as SIGTERM does; a second time: end at once
    Quit,
    /// Show the clients without a hybrid group, and how many connections hybrid-required would refuse
    Census(Census),
    /// Write a cryptography bill of materials (CycloneDX): what is configured, and how often it was negotiated
    Cbom(Cbom),
}

/// What `ctl census` shows.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Census {
    /// Only this listener
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// How `ctl cbom` writes.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Cbom {
    /// Version of CycloneDX
    #[arg(long, value_name = "VERSION", default_value = "1.7")]
    pub cbom_version: hybridge_scan::args::CbomVersion,
}
