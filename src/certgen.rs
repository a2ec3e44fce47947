//! `hybridge certs`: a certificate authority and a server certificate, to try things out and to test
//! with (RFC 5280). Where a real authority exists, its certificates belong in the configuration instead.

mod authority_key;
mod files;
mod issue;
mod name;
mod report;

use std::path::PathBuf;

use clap::ValueEnum;
use zeroize::Zeroizing;

use crate::tls::credentials::{CredentialError, rfc3339};

use files::NewFile;
use issue::{Authority, Leaf};

pub use name::{Name, NameError};
pub use report::Report;

/// Longest life of a server certificate that is issued, in days.
pub const MAX_DAYS: u32 = 3650;

const CA_CERT: &str = "ca.crt";
const CA_KEY: &str = "ca.key";
const CERT: &str = "tls.crt";
const KEY: &str = "tls.key";

/// Make a certificate authority and a server certificate: ca.crt, ca.key, tls.crt and tls.key.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Directory the files are written to; made if it does not exist.
    #[arg(long, value_name = "DIR", default_value = "certs")]
    pub dir: PathBuf,

    /// Name clients connect to; repeat it for several [default: localhost, 127.0.0.1, ::1].
    #[arg(long = "name", value_name = "DNS_OR_IP")]
    pub names: Vec<Name>,

    /// Kind of the keys and signatures.
    #[arg(long, value_enum, default_value_t)]
    pub algorithm: Algorithm,

    /// Life of the server certificate in days; the authority lives five years longer.
    #[arg(long, value_name = "N", default_value_t = 365,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    pub days: u32,

    /// Issue only a new server certificate, from the ca.crt and ca.key in the directory.
    #[arg(long)]
    pub reuse_ca: bool,

    /// Replace files that exist.
    #[arg(long)]
    pub force: bool,
}

/// Kind of a key pair, and so of the signatures it makes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Algorithm {
    #[default]
    EcdsaP256,
    EcdsaP384,
    Ed25519,
    #[value(name = "rsa-2048")]
    Rsa2048,
    #[value(name = "ml-dsa-44")]
    MlDsa44,
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    #[value(name = "ml-dsa-87")]
    MlDsa87,
}

/// What is to be issued.
#[derive(Clone, Debug)]
pub struct Request {
    /// Names of the server; none means [`Name::defaults`].
    pub names: Vec<Name>,
    /// Of the server's key, and of the authority's if one is made.
    pub algorithm: Algorithm,
    /// Life of the server certificate in days, 1 to [`MAX_DAYS`].
    pub days: u32,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            names: Name::defaults(),
            algorithm: Algorithm::default(),
            days: 1,
        }
    }
}

/// A new authority and a server certificate it issued, as PEM. Keys are PKCS#8, wiped when dropped.
pub struct Generated {
    pub ca_cert: String,
    pub ca_key: Zeroizing<String>,
    pub cert: String,
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for Generated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generated")
            .field("ca_cert", &self.ca_cert)
            .field("cert", &self.cert)
            .finish_non_exhaustive()
    }
}

/// Why no certificates were made. Nothing has been written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertgenError {
    #[error("{} exists already: pass --force to replace it, or choose another --dir", path.display())]
    Exists { path: PathBuf },

    #[error("{} exists already: --reuse-ca --force makes a new server certificate from the authority there, --force also a new authority that clients must be given; or choose another --dir", path.display())]
    AuthorityExists { path: PathBuf },

    #[error("cannot {action} {}: {cause}", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        cause: std::io::Error,
    },

    #[error("{days} days is no life for a certificate: choose 1 to {MAX_DAYS}")]
    Days { days: u32 },

    #[error("cannot use the existing authority: {0}")]
    Authority(CredentialError),

    #[error("cannot use the existing authority: {} is not a certificate of an authority (its basic constraints do not say CA)", path.display())]
    NotAnAuthority { path: PathBuf },

    #[error("the existing authority ends on {}, before a server certificate of {days} days: choose fewer --days, or make a new authority without --reuse-ca", rfc3339(*not_after))]
    AuthorityEndsFirst { not_after: i64, days: u32 },

    #[error("cannot issue a certificate: {0}")]
    Issue(rcgen::Error),

    #[error("no randomness for a serial number")]
    Randomness,

    #[error("the new certificate does not pass the checks of `hybridge run`: {0}")]
    Unusable(CredentialError),

    #[error("a client that trusts the authority would not trust the new certificate: {0}")]
    Untrusted(rustls::Error),
}

/// Makes the certificates `args` ask for and writes them: all of them or none.
pub fn run(args: &Args) -> Result<Report, CertgenError> {
    let request = Request {
        names: args.names.clone(),
        algorithm: args.algorithm,
        days: args.days,
    };
    if args.reuse_ca {
        renew(args, &request)
    } else {
        create(args, &request)
    }
}

/// A new authority and a server certificate from it, in memory.
pub fn generate(request: &Request) -> Result<Generated, CertgenError> {
    let authority = Authority::generate(request)?;
    let Leaf { cert, key } = authority.issue(request)?;
    Ok(Generated {
        ca_cert: authority.cert_pem().to_owned(),
        ca_key: authority.key_pem(),
        cert,
        key,
    })
}

fn create(args: &Args, request: &Request) -> Result<Report, CertgenError> {
    files::refuse_existing(&args.dir, &[CA_CERT, CA_KEY, CERT, KEY], args.force)
        .map_err(|error| if_authority(args, error))?;
    let authority = Authority::generate(request)?;
    let leaf = authority.issue(request)?;
    let files = [
        NewFile::public(CA_CERT, authority.cert_pem()),
        NewFile::secret(CA_KEY, &authority.key_pem()),
        NewFile::public(CERT, &leaf.cert),
        NewFile::secret(KEY, &leaf.key),
    ];
    write(args, &authority, &leaf, &files)
}

/// Beside an authority that could be used again the remedy is another one: a new authority would be
/// one that no client trusts yet.
fn if_authority(args: &Args, error: CertgenError) -> CertgenError {
    let is_there = |name| args.dir.join(name).is_file();
    match error {
        CertgenError::Exists { path } if is_there(CA_CERT) && is_there(CA_KEY) => {
            CertgenError::AuthorityExists { path }
        }
        other => other,
    }
}

fn renew(args: &Args, request: &Request) -> Result<Report, CertgenError> {
    files::refuse_existing(&args.dir, &[CERT, KEY], args.force)?;
    let authority = Authority::load(&args.dir.join(CA_CERT), &args.dir.join(CA_KEY))?;
    let leaf = authority.issue(request)?;
    let files = [
        NewFile::public(CERT, &leaf.cert),
        NewFile::secret(KEY, &leaf.key),
    ];
    write(args, &authority, &leaf, &files)
}

/// What is written has passed the checks it will meet.
fn write(
    args: &Args,
    authority: &Authority,
    leaf: &Leaf,
    files: &[NewFile],
) -> Result<Report, CertgenError> {
    let facts = report::check(authority.der(), leaf)?;
    Ok(Report {
        ca: args.dir.join(CA_CERT),
        cert: args.dir.join(CERT),
        key: args.dir.join(KEY),
        written: files::write(&args.dir, files, args.force)?,
        facts,
    })
}
