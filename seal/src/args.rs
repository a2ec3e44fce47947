//! The options of the commands.

use std::path::PathBuf;

use clap::{ArgGroup, ArgMatches, Args, FromArgMatches, Subcommand, ValueEnum};

/// What is done to files and models.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make keys: for sealing, or for signing
    #[command(after_help = SEAL_CODES)]
    Keys(KeysArgs),
    /// Seal a file or a model for post-quantum recipients, in the age format
    #[command(after_help = SEAL_CODES)]
    Seal(SealArgs),
    /// Open sealed files, and verify both signatures before the result gets its name
    #[command(after_help = SEAL_CODES)]
    Open(OpenArgs),
    /// Change the recipients of sealed files and keep their keys: this revokes nothing
    #[command(after_help = SEAL_CODES)]
    Rewrap(RewrapArgs),
    /// Seal files again, with a new key, for other recipients
    #[command(after_help = SEAL_CODES)]
    Reseal(RewrapArgs),
    /// Show what is in a sealed file: recipients, sizes, tensors
    #[command(after_help = SEAL_CODES)]
    Inspect(InspectArgs),
    /// Sign a model twice, ECDSA and ML-DSA, in the OpenSSF model-signing format
    #[command(after_help = SEAL_CODES)]
    Sign(SignArgs),
    /// Verify both signatures of a model and every file
    #[command(after_help = SEAL_CODES)]
    Verify(VerifyArgs),
}

const SEAL_CODES: &str = "\
Exit code 0: done. 1: refused, damaged or failed; no output has its final name. 64: the command line is wrong.";

impl Command {
    /// Whether it writes files, so that a signal must not leave half of them.
    pub fn writes(&self) -> bool {
        !matches!(self, Self::Inspect(_) | Self::Verify(_))
    }
}

/// A command as a part of another's list. What describes it stays a function of this crate, which is
/// compiled for size: taken into the other's, it would be three times as long.
#[derive(Clone, Debug)]
pub struct Artifact(pub Command);

impl FromArgMatches for Artifact {
    #[inline(never)]
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Command::from_arg_matches(matches).map(Self)
    }

    #[inline(never)]
    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        Command::from_arg_matches_mut(matches).map(Self)
    }

    #[inline(never)]
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl Subcommand for Artifact {
    #[inline(never)]
    fn augment_subcommands(list: clap::Command) -> clap::Command {
        Command::augment_subcommands(list)
    }

    #[inline(never)]
    fn augment_subcommands_for_update(list: clap::Command) -> clap::Command {
        Command::augment_subcommands_for_update(list)
    }

    fn has_subcommand(name: &str) -> bool {
        Command::has_subcommand(name)
    }
}

/// `hybridge keys`.
#[derive(Args, Clone, Debug)]
pub struct KeysArgs {
    /// What the keys are for.
    #[command(subcommand)]
    pub purpose: Purpose,
}

/// What keys are for.
#[derive(Clone, Debug, Subcommand)]
pub enum Purpose {
    /// Make an identity that opens sealed files (identity.txt) and its recipient (recipient.txt)
    Seal(Out),
    /// Make the two key pairs of a signer: ECDSA P-256 (ec.key, ec.pub) and ML-DSA-65 (mldsa.key, mldsa.pub)
    Sign(Out),
}

/// Where keys go.
#[derive(Args, Clone, Debug)]
pub struct Out {
    /// Directory to write to, made if it does not exist; no file in it is overwritten
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `hybridge seal`.
#[derive(Args, Clone, Debug)]
pub struct SealArgs {
    /// File or directory to seal; `-` is standard input
    #[arg(value_name = "IN")]
    pub from: PathBuf,
    /// Sealed file to write, or directory of sealed files; `-` is standard output
    #[arg(value_name = "OUT")]
    pub to: PathBuf,
    /// Recipient (age1pq1…) or file of recipients; may be repeated
    #[arg(
        short,
        long = "recipient",
        value_name = "RECIPIENT|FILE",
        required = true
    )]
    pub recipients: Vec<String>,
    /// Sign first, with ec.key and mldsa.key of this directory; the signatures are sealed too
    #[arg(long, value_name = "DIR")]
    pub sign_with: Option<PathBuf>,
    /// Replace OUT if it exists; what a directory has is removed first
    #[arg(long)]
    pub replace: bool,
    /// Threads [default: the CPU limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// `hybridge open`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("who made it").args(["verify_with", "unsafe_unsigned"]).required(true))]
pub struct OpenArgs {
    /// Sealed file, or directory of sealed files; `-` is standard input
    #[arg(value_name = "IN")]
    pub from: PathBuf,
    /// File or directory to write; `-` is standard output
    #[arg(value_name = "OUT")]
    pub to: PathBuf,
    /// File with the identity, or a loopback URL that returns it
    #[arg(short, long, value_name = "FILE|URL")]
    pub identity: String,
    /// Require both signatures, verified with ec.pub and mldsa.pub of this directory
    #[arg(long, value_name = "DIR")]
    pub verify_with: Option<PathBuf>,
    /// Require this name in the signature: the signer may have signed other models too
    #[arg(long, value_name = "NAME", conflicts_with = "unsafe_unsigned")]
    pub name: Option<String>,
    /// Open without a verified signature: anyone who knows the recipient can have made the file
    #[arg(long)]
    pub unsafe_unsigned: bool,
    /// Refuse to write anywhere but to memory (tmpfs without swap)
    #[arg(long)]
    pub require_memory: bool,
    /// Replace OUT if it exists; the content of a directory is removed first
    #[arg(long)]
    pub replace: bool,
    /// Threads [default: the CPU limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// `hybridge rewrap` and `hybridge reseal`.
#[derive(Args, Clone, Debug)]
pub struct RewrapArgs {
    /// Sealed files, or directories of them
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// File with an identity that opens them, or a loopback URL that returns it
    #[arg(short, long, value_name = "FILE|URL")]
    pub identity: String,
    /// New recipient (age1pq1…) or file of recipients; may be repeated
    #[arg(
        short,
        long = "recipient",
        value_name = "RECIPIENT|FILE",
        required = true
    )]
    pub recipients: Vec<String>,
    /// Threads [default: the CPU limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// `hybridge inspect`.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// Sealed file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// With an identity: check header and end, and list the tensors of a safetensors file
    #[arg(short, long, value_name = "FILE|URL")]
    pub identity: Option<String>,
    /// As JSON, schema hybridge-inspect/1
    #[arg(long)]
    pub json: bool,
}

/// How a model is cut.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum MethodName {
    /// Each file whole
    #[default]
    Files,
    /// Each file in shards, listed one by one
    Shards,
}

/// `hybridge sign`.
#[derive(Args, Clone, Debug)]
pub struct SignArgs {
    /// Directory of the model, or its one file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// ECDSA private key (PEM)
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    /// ML-DSA private key (PEM)
    #[arg(long, value_name = "FILE")]
    pub pq_key: PathBuf,
    /// What is hashed
    #[arg(long, value_name = "METHOD", default_value = "files")]
    pub method: MethodName,
    /// Bytes of a shard
    #[arg(long, value_name = "BYTES", default_value_t = 1_000_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub shard_size: u64,
    /// Replace signatures that exist
    #[arg(long)]
    pub replace: bool,
    /// Threads [default: the CPU limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// `hybridge verify`.
#[derive(Args, Clone, Debug)]
#[command(group = ArgGroup::new("signatures").args(["pq_public_key", "only_classical"]).required(true))]
pub struct VerifyArgs {
    /// Directory of the model, or its one file
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// ECDSA public key (PEM)
    #[arg(long, value_name = "FILE")]
    pub public_key: PathBuf,
    /// ML-DSA public key (PEM)
    #[arg(long, value_name = "FILE")]
    pub pq_public_key: Option<PathBuf>,
    /// Require this name in the signature: the signer may have signed other models too
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Require only the ECDSA signature, which a quantum computer can forge
    #[arg(long)]
    pub only_classical: bool,
    /// Threads [default: the CPU limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}
