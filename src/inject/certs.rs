//! `hybridge inject certs`: the certificates of the webhook, printed as a Secret and as the caBundle of the
//! webhook configuration, and a check of how long one is still valid. They are issued in `certgen::webhook`.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::certs_check::{self, of_secret};
use super::cli::CertsArgs;
use super::manifest::{yaml, yaml_out};
use crate::certgen::files::{self, NewFile};
pub use crate::certgen::webhook::EntryError;
use crate::certgen::webhook::{self, entries, unexpired_cas};
use crate::certgen::{CertgenError, Generated, Name, NameError, shell_word};
use crate::counted::counted;
use crate::redact::one_line;
use crate::regular_file;
use crate::secret_file::{Exposure, exposure};

/// Bytes of a file with a certificate or a Secret.
const LARGEST: u64 = 4 << 20;
/// Names of the webhooks inside the configuration, as in k8s/injector/webhook.yaml. The chart's fourth entry has its
/// bundle from the chart's values: a patch that named it would add it where it is not.
pub const WEBHOOKS: [&str; 3] = [
    "namespace.hybridge.dev",
    "object.hybridge.dev",
    "enforced.hybridge.dev",
];

/// Files that are written.
const SECRET: &str = "secret.yaml";
const BUNDLE: &str = "ca-bundle.yaml";

/// Failure of `hybridge inject certs`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CertsError {
    /// The names cannot be put into a certificate.
    #[error(
        "cannot make a certificate for {name:?}; give a Service and a namespace as they are called in the cluster: {source}"
    )]
    Name {
        /// What was tried.
        name: String,
        /// Why not.
        #[source]
        source: NameError,
    },
    /// A certificate cannot be made or written.
    #[error(transparent)]
    Certgen(#[from] CertgenError),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A new CA beside one that is in use would make the API server refuse every pod.
    #[error(
        "{path} is there: to rotate, add --previous-ca {word}, and old and new CA are both trusted; to begin anew, remove it", word = shell_word(path)
    )]
    Exists {
        /// The Secret of earlier certificates.
        path: PathBuf,
    },
    /// The bundle of the CA in use would be replaced, and the Secret that renews it is not there.
    #[error(
        "{path} is there and holds the CA that is trusted: to rotate, add --previous-ca with the Secret in use (kubectl get secret NAME -o yaml), and old and new CA are both trusted; to begin anew, remove it"
    )]
    BundleExists {
        /// The bundle of earlier certificates.
        path: PathBuf,
    },
    /// A file is neither a PEM certificate nor a Secret that holds one.
    #[error("{path} holds no certificate: give PEM, or the Secret as YAML with data.tls.crt")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Anybody could have the API servers trust a CA of theirs.
    #[error(
        "--previous-ca: {path} may be written by everybody (mode {mode:04o}), who could add a CA that is trusted: chmod o-w {word}", word = shell_word(path)
    )]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// A block of it cannot be read.
    #[error("{path}: {cause}; nothing of this file is used")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Which block, and why.
        cause: EntryError,
    },
    /// A certificate ends too soon, or has ended.
    #[error("{report}renew with `hybridge inject certs --previous-ca FILE`")]
    Expiring {
        /// One line per certificate.
        report: String,
    },
    /// In date, and of no use to the webhook.
    #[error(
        "{report}the API server refuses it for {name}: {cause}; make another with `hybridge inject certs`, or give --service and --namespace as they are in the cluster"
    )]
    Refused {
        /// One line per certificate.
        report: String,
        /// What it is called at.
        name: String,
        /// Why.
        cause: String,
    },
    /// Standard output is gone.
    #[error("cannot write the result: {0}")]
    Write(#[source] io::Error),
}

impl CertsError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Name { .. }
            | Self::Exists { .. }
            | Self::BundleExists { .. }
            | Self::NoCertificate { .. }
            | Self::Unreadable { .. }
            | Self::Writable { .. }
            | Self::Read { .. } => 64,
            _ => 1,
        }
    }
}

/// Makes or checks certificates, as `args` say, at the time `now`.
pub fn run(args: &CertsArgs, now: OffsetDateTime, out: &mut impl Write) -> Result<(), CertsError> {
    if let Some(path) = &args.check {
        let report = check(path, args, now)?;
        return out.write_all(report.as_bytes()).map_err(CertsError::Write);
    }
    if let Some(dir) = &args.dir {
        refuse_existing(dir, args.previous_ca.is_some())?;
    }
    let name = format!("{}.{}.svc", args.service, args.namespace);
    let parsed = name
        .parse::<Name>()
        .map_err(|source| CertsError::Name { name, source })?;
    let pair = webhook::pair(parsed, args.days, now)?;
    let previous = args
        .previous_ca
        .as_deref()
        .map(|path| previous_cas(path, now))
        .transpose()?;
    let secret = yaml_out::write(&secret(&pair, args));
    let bundle = yaml_out::write(&bundle(
        &pair,
        args,
        previous.as_deref().unwrap_or_default(),
    ));
    match &args.dir {
        Some(dir) => {
            let files = [
                NewFile::secret(SECRET, &secret),
                NewFile::secret(BUNDLE, &bundle),
            ];
            files::write(dir, &files, true)?;
            Ok(())
        }
        None => write!(out, "{secret}---\n{bundle}").map_err(CertsError::Write),
    }
}

fn secret(pair: &Generated, args: &CertsArgs) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": args.secret, "namespace": args.namespace},
        "type": "kubernetes.io/tls",
        "data": {
            "tls.crt": BASE64_STANDARD.encode(&pair.cert),
            "tls.key": BASE64_STANDARD.encode(pair.key.as_bytes()),
            "ca.crt": BASE64_STANDARD.encode(&pair.ca_cert),
        },
    })
}

/// A partial configuration, as a patch for kustomize.
fn bundle(pair: &Generated, args: &CertsArgs, previous: &str) -> Value {
    let bundle = BASE64_STANDARD.encode(format!("{}{previous}", pair.ca_cert));
    let webhooks: Vec<Value> = WEBHOOKS
        .iter()
        .map(|name| json!({"name": name, "clientConfig": {"caBundle": bundle}}))
        .collect();
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": args.webhook},
        "webhooks": webhooks,
    })
}

/// Refuses to replace a Secret or a bundle unless its CA goes on being trusted. What cannot be looked at may be there.
fn refuse_existing(dir: &Path, rotates: bool) -> Result<(), CertsError> {
    let is_there = |path: &Path| {
        let looked = path.symlink_metadata();
        !looked.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let (secret, bundle) = (dir.join(SECRET), dir.join(BUNDLE));
    match (rotates, is_there(&secret), is_there(&bundle)) {
        (false, true, _) => Err(CertsError::Exists { path: secret }),
        (false, false, true) => Err(CertsError::BundleExists { path: bundle }),
        _ => Ok(()),
    }
}

/// The PEM text of a file, or of `data.tls.crt` (`ca.crt` for a CA) when the file is a Secret; and the Secret.
fn pem_text(path: &Path, field: &str) -> Result<(String, Option<Value>), CertsError> {
    let text = regular_file::text(path, LARGEST).map_err(|source| CertsError::Read {
        path: path.to_owned(),
        source,
    })?;
    // A Secret that was once applied with `stringData` repeats PEM in an annotation, on one line.
    match yaml::read(&text) {
        Ok(secret) if certs_check::is_secret(&secret) => {
            let text = of_secret(&secret, field).ok_or_else(|| no_certificate(path))?;
            Ok((text, Some(secret)))
        }
        _ => Ok((text, None)),
    }
}

fn check(path: &Path, args: &CertsArgs, now: OffsetDateTime) -> Result<String, CertsError> {
    let mut report = String::new();
    let mut late = false;
    let (text, secret) = pem_text(path, "tls.crt")?;
    let entries = entries(&text).map_err(|cause| unusable(path, cause))?;
    for entry in &entries {
        let left = (entry.ends - now).whole_days();
        late |= entry.ends - now < Duration::days(args.warn_days.into());
        let _ = writeln!(
            report,
            "{}: ends {}, {} left",
            one_line(&entry.subject),
            entry.ends.date(),
            counted(left, "day")
        );
    }
    if late {
        return Err(CertsError::Expiring { report });
    }
    let name = format!("{}.{}.svc", args.service, args.namespace);
    let chain: Vec<_> = entries.into_iter().map(|entry| entry.der).collect();
    match certs_check::refusal(&text, &chain, secret.as_ref(), &name, now) {
        None => Ok(report),
        Some(cause) => Err(CertsError::Refused {
            report,
            name,
            cause,
        }),
    }
}

/// The certificates of the CA in use that have not ended, as PEM.
fn previous_cas(path: &Path, now: OffsetDateTime) -> Result<String, CertsError> {
    if let Some(Exposure::Writable(mode)) = exposure(path) {
        let path = path.to_owned();
        return Err(CertsError::Writable { path, mode });
    }
    let (text, _) = pem_text(path, "ca.crt")?;
    unexpired_cas(&text, now).map_err(|cause| unusable(path, cause))
}

/// Names the block: without it one CA fewer would be trusted, and nobody would know.
fn unusable(path: &Path, cause: EntryError) -> CertsError {
    match cause {
        EntryError::Nothing => no_certificate(path),
        cause => CertsError::Unreadable {
            path: path.to_owned(),
            cause,
        },
    }
}

fn no_certificate(path: &Path) -> CertsError {
    CertsError::NoCertificate {
        path: path.to_owned(),
    }
}
