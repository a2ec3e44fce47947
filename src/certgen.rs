//! `hybridge certs`: a CA, a server certificate and those of clients, to try things out
//! and to test with (RFC 5280). Where a real CA exists, its certificates belong in the configuration instead.

mod ca_key;
mod client;
mod error;
pub(crate) mod files;
mod issue;
mod name;
mod report;
mod request;
mod shell;
pub(crate) mod webhook;

use std::path::PathBuf;

use time::{Duration, OffsetDateTime};

use files::{CA_CERT, CA_KEY, CERT, KEY, NewFile};
use issue::{Ca, Leaf};

pub use client::{Client, ClientError};
pub use error::CertgenError;
pub use files::finish as finish_files;
pub use issue::Generated;
pub use name::{Name, NameError};
pub use report::Report;
pub(crate) use shell::shell_word;

pub use request::{Algorithm, MAX_DAYS, Request};

/// How much longer than its first server certificate a CA lives.
const CA_EXTRA_LIFE: Duration = Duration::days(5 * 365);

/// Make a CA and a server certificate: ca.crt, ca.key, tls.crt and tls.key.
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

    /// Issue only a certificate for a client of this name, from the ca.crt and ca.key in the directory.
    #[arg(long, value_name = "URI_OR_NAME", conflicts_with_all = ["names", "reuse_ca"])]
    pub client: Option<Client>,

    /// Life of the server certificate in days; the CA lives five years longer.
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

/// Makes the certificates of `args` and writes them: all of them or none.
pub fn run(args: &Args) -> Result<Report, CertgenError> {
    let request = Request {
        names: args.names.clone(),
        algorithm: args.algorithm,
        days: args.days,
    };
    if let Some(client) = &args.client {
        issue_client(args, client, &request)
    } else if args.reuse_ca {
        renew(args, &request)
    } else {
        create(args, &request)
    }
}

/// A new CA and a server certificate from it, in memory.
pub fn generate(request: &Request) -> Result<Generated, CertgenError> {
    ca(request)?.issue_beside(request, OffsetDateTime::now_utc())
}

/// A CA that outlives the certificate of `request`.
fn ca(request: &Request) -> Result<Ca, CertgenError> {
    let now = OffsetDateTime::now_utc();
    Ca::generate("hybridge local CA", request, now, CA_EXTRA_LIFE)
}

fn create(args: &Args, request: &Request) -> Result<Report, CertgenError> {
    files::refuse_existing(&args.dir, &[CA_CERT, CA_KEY, CERT, KEY], args.force)
        .map_err(|error| or_reuse_ca(args, error))?;
    let ca = ca(request)?;
    let leaf = ca.issue(request, OffsetDateTime::now_utc())?;
    let files = [
        NewFile::public(CA_CERT, ca.cert_pem()),
        NewFile::secret(CA_KEY, &ca.key_pem()),
        NewFile::public(CERT, &leaf.cert),
        NewFile::secret(KEY, &leaf.key),
    ];
    write(args, &ca, &leaf, &files)
}

/// Beside a CA that could be used again the remedy is another one: a new CA would be
/// one that no client trusts yet.
fn or_reuse_ca(args: &Args, error: CertgenError) -> CertgenError {
    let is_there = |name| args.dir.join(name).is_file();
    match error {
        CertgenError::Exists { path } if is_there(CA_CERT) && is_there(CA_KEY) => {
            CertgenError::CaExists { path }
        }
        other => other,
    }
}

fn renew(args: &Args, request: &Request) -> Result<Report, CertgenError> {
    files::refuse_existing(&args.dir, &[CERT, KEY], args.force)?;
    let ca = Ca::load(&args.dir.join(CA_CERT), &args.dir.join(CA_KEY))?;
    let leaf = ca.issue(request, OffsetDateTime::now_utc())?;
    let files = [
        NewFile::public(CERT, &leaf.cert),
        NewFile::secret(KEY, &leaf.key),
    ];
    write(args, &ca, &leaf, &files)
}

/// One file pair for each client, so that a directory can hold several.
fn issue_client(args: &Args, client: &Client, request: &Request) -> Result<Report, CertgenError> {
    let (ca_cert, ca_key) = (args.dir.join(CA_CERT), args.dir.join(CA_KEY));
    if !ca_cert.is_file() {
        return Err(CertgenError::NoCa {
            dir: args.dir.clone(),
        });
    }
    let [cert, key] = ["crt", "key"].map(|kind| format!("client-{}.{kind}", client.file_stem()));
    files::refuse_existing(&args.dir, &[&cert, &key], args.force)?;
    let ca = Ca::load(&ca_cert, &ca_key)?;
    let leaf = ca.issue_client(client, request, OffsetDateTime::now_utc())?;
    let facts = report::check_client(ca.der(), &leaf)?;
    let files = [
        NewFile::public(&cert, &leaf.cert),
        NewFile::secret(&key, &leaf.key),
    ];
    Ok(Report {
        ca: ca_cert,
        cert: args.dir.join(&cert),
        key: args.dir.join(&key),
        written: files::write(&args.dir, &files, args.force)?,
        facts,
        client: Some(client.clone()),
    })
}

/// What is written has passed the checks it will meet.
fn write(args: &Args, ca: &Ca, leaf: &Leaf, files: &[NewFile]) -> Result<Report, CertgenError> {
    let facts = report::check(ca.der(), leaf)?;
    Ok(Report {
        ca: args.dir.join(CA_CERT),
        cert: args.dir.join(CERT),
        key: args.dir.join(KEY),
        written: files::write(&args.dir, files, args.force)?,
        facts,
        client: None,
    })
}
