//! The command line, types only; what they mean is in `command`.

mod capacity;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::report::limit::Limit;
use crate::tls::Group;
pub use capacity::Capacity;

/// What hybrid post-quantum TLS costs, measured in pairs.
#[derive(Debug, Parser)]
#[command(name = "hybridge-loadtest", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare hybrid and classical in alternating blocks; without targets, against a demo of its own
    Compare(Compare),
    /// Run a plan: a TOML file, or quick, full, check, gradient-exchange, token-stream, peers, peers-h2, peers-tokens, peers-mtls, peers-ghostunnel, peers-egress, peers-egress-resumed, scale, scale-peers, workers
    Run(RunPlan),
    /// Run every scenario of a plan against itself: how many intervals leave out zero though there is no difference
    Check(Check),
    /// Time the algorithms themselves on this machine
    Primitives(Primitives),
    /// Render result files again; several are compared
    Report(Report),
    /// Add up the shards of one run
    Merge(Merge),
    /// What a core does and what a fleet needs, from a result file
    Capacity(Capacity),
    /// Serve HTTP without TLS, versions 1.1 and 2 on one port, as the backend of the peers plans
    Backend(Backend),
    /// Forward connections to a server as they are, without TLS: what a proxy's sockets cost, as the floor of a comparison
    Forward(Forward),
}

#[derive(Debug, Args)]
pub struct Compare {
    /// Two minutes instead of ten
    #[arg(long)]
    pub quick: bool,
    /// The hybrid listener, such as https://127.0.0.1:8443; alone, it serves both and the client decides
    #[arg(long, value_name = "URL")]
    pub hybrid: Option<String>,
    /// The classical-only listener
    #[arg(long, value_name = "URL", requires = "hybrid")]
    pub classical: Option<String>,
    /// The hybrid group to compare
    #[arg(long, value_name = "GROUP", default_value = "X25519MLKEM768")]
    pub group: Group,
    /// The classical group to compare with
    #[arg(long, value_name = "GROUP", default_value = "X25519")]
    pub classical_group: Group,
    /// CA certificates (PEM) of the targets; the system's bundle if not given
    #[arg(long, value_name = "FILE", requires = "hybrid")]
    pub ca: Option<PathBuf>,
    /// Name in the targets' certificate, if not the URL's host
    #[arg(long, value_name = "NAME", requires = "hybrid")]
    pub server_name: Option<String>,
    /// Process id of the server, for its CPU and memory
    #[arg(long, requires = "hybrid")]
    pub pid: Option<u32>,
    /// The server's metrics, such as http://127.0.0.1:9443/metrics
    #[arg(long, value_name = "URL", requires = "hybrid")]
    pub metrics: Option<String>,
    #[command(flatten)]
    pub overrides: Overrides,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub common: Common,
}

/// Limits on differences, for CI.
#[derive(Clone, Debug, Default, Args)]
pub struct Limits {
    /// Exit with 3 where a difference is beyond this, such as 'full-handshake.cpu > 20%'; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<Limit>,
}

#[derive(Debug, Args)]
pub struct RunPlan {
    /// Plan file, or the name of one that comes along
    pub plan: String,
    /// Serve the model server behind the targets from this process, here: on one core they then take no turns
    #[arg(long, value_name = "ADDR")]
    pub backend: Option<String>,
    #[command(flatten)]
    pub overrides: Overrides,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub common: Common,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Plan file, or the name of one that comes along; targets that share one group are taken as they are, else the
    /// first subject is measured against itself, or a demo of the tool's own where the plan names none
    #[arg(default_value = "check")]
    pub plan: String,
    /// Runs that are added up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub runs: u32,
    /// Exit with 1 where more than this share of the intervals leaves out zero, in per cent
    #[arg(long, value_name = "PERCENT", default_value = "8", value_parser = capacity::percent)]
    pub at_most: f64,
    #[command(flatten)]
    pub overrides: Overrides,
    #[command(flatten)]
    pub common: Common,
}

/// Replaces what the plan says.
#[derive(Clone, Debug, Default, Args)]
pub struct Overrides {
    /// Only these scenarios
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub scenario: Vec<String>,
    /// Round-trip times of the emulated link, such as 0,1ms,20ms,80ms
    #[arg(long, value_name = "TIME,…", value_delimiter = ',')]
    pub rtt: Vec<String>,
    /// Bandwidths of the emulated link, such as 100Mbit,1Gbit
    #[arg(long, value_name = "RATE,…", value_delimiter = ',')]
    pub bandwidth: Vec<String>,
    /// Concurrent connections, 1 to 10000
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub connections: Vec<u32>,
    /// Open load: operations per second
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    pub rate: Vec<f64>,
    /// Bytes down per operation, such as 1KiB
    #[arg(long, value_name = "SIZE")]
    pub down: Option<String>,
    /// Bytes up per operation
    #[arg(long, value_name = "SIZE")]
    pub up: Option<String>,
    /// Pairs of blocks
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Length of a block, such as 300ms
    #[arg(long, value_name = "TIME")]
    pub block: Option<String>,
}

/// Where results go.
#[derive(Clone, Debug, Args)]
pub struct Output {
    /// Folder for what is written; one named by the time, in loadtest-results, if not given
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replace the results that are in --out already
    #[arg(long, requires = "out")]
    pub overwrite: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Common {
    #[command(flatten)]
    pub output: Output,
    /// Seed of the order of blocks; drawn if not given (1 for shards), recorded always
    #[arg(long)]
    pub seed: Option<u64>,
    /// This generator's part of the load, such as 2/4; job/4 takes the part from the pod of an indexed Job
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    pub shard: String,
    /// Set by Kubernetes in the pods of an indexed Job, from 0
    #[arg(long, env = "JOB_COMPLETION_INDEX", hide = true)]
    pub job_index: Option<u32>,
    /// Wait for this Unix time before the first block, so that shards run together
    #[arg(long, value_name = "SECONDS")]
    pub start_at: Option<u64>,
    /// The hybridge program to start, if not the one beside this one
    #[arg(long, value_name = "FILE")]
    pub hybridge: Option<PathBuf>,
    /// Cores of servers the tool starts and of itself
    #[arg(long, value_enum, default_value_t = Pin::Split)]
    pub pin: Pin,
    /// Keep idle cores from halting, as root: on a virtual machine the hypervisor wakes them, slowly
    #[arg(long)]
    pub keep_awake: bool,
    /// Wait for the next token or arrival by looking at the clock, not asleep, so that no timer's interrupt delays what is
    /// under way; the generator's cores then count as busy throughout
    #[arg(long)]
    pub spin: bool,
    /// Check the server's signature on one handshake in N only, so that the generator can saturate a server; the
    /// group is verified on every connection all the same
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub unsafe_check_signatures_every: u64,
    /// Kept in the results under versions, such as nginx=1.30; may be repeated
    #[arg(long, value_name = "NAME=TEXT")]
    pub note: Vec<String>,
    /// No progress line
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pin {
    /// Half of the cores each
    Split,
    /// Wherever the kernel likes
    None,
}

#[derive(Debug, Args)]
pub struct Primitives {
    #[command(flatten)]
    pub output: Output,
    /// Time for each figure, such as 300ms
    #[arg(long, value_name = "TIME", default_value = "300ms")]
    pub time: String,
}

#[derive(Debug, Args)]
pub struct Report {
    /// results.json files, or folders that hold one
    #[arg(required = true)]
    pub results: Vec<PathBuf>,
    /// Folder for the report; the first file's if not given
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub limits: Limits,
}

#[derive(Debug, Args)]
pub struct Merge {
    /// results.json files of the shards
    #[arg(required = true)]
    pub results: Vec<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct Forward {
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8551")]
    pub listen: String,
    /// Where the bytes go
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub to: SocketAddr,
}

#[derive(Debug, Args)]
pub struct Backend {
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: String,
    /// Also serve the raw TCP block protocol here
    #[arg(long, value_name = "ADDR")]
    pub blocks: Option<String>,
}
