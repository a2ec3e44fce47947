//! Certificates of the webhook: a CA that signs one certificate and is then forgotten, printed as a
//! Secret and as the caBundle of the webhook configuration; and a check of how long one still holds.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};
use thiserror::Error;
use time::{Duration, OffsetDateTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;

use super::cli::CertsArgs;
use super::{yaml, yaml_out};

/// Names of the webhooks inside the configuration, as in k8s/injector/webhook.yaml.
pub const WEBHOOKS: [&str; 3] = [
    "namespace.hybridge.dev",
    "object.hybridge.dev",
    "enforced.hybridge.dev",
];
/// Clocks of API server and injector may differ by this much.
const CLOCK_SKEW: Duration = Duration::hours(1);

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
        source: rcgen::Error,
    },
    /// Key generation or signing failed.
    #[error("cannot make the certificates: {0}")]
    Generate(#[from] rcgen::Error),
    /// A file cannot be read or written.
    #[error("cannot {what} {path}: {source}")]
    File {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A new CA beside one that is in use would make the API server refuse every pod.
    #[error(
        "{path} is there: to rotate, add --previous-ca {path}, and old and new CA are both trusted; to begin anew, remove it"
    )]
    Exists {
        /// The Secret of earlier certificates.
        path: PathBuf,
    },
    /// A file is neither a PEM certificate nor a Secret that holds one.
    #[error("{path} holds no certificate: give PEM, or the Secret as YAML with data.tls.crt")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate ends too soon, or has ended.
    #[error("{report}renew with `hybridge inject certs --previous-ca FILE`")]
    Expiring {
        /// One line per certificate.
        report: String,
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
            | Self::NoCertificate { .. }
            | Self::File { what: "read", .. } => 64,
            _ => 1,
        }
    }
}

/// Makes or checks certificates, as `args` say, at the time `now`.
pub fn run(args: &CertsArgs, now: OffsetDateTime, out: &mut impl Write) -> Result<(), CertsError> {
    if let Some(path) = &args.check {
        let report = check(path, args.warn_days, now)?;
        return out.write_all(report.as_bytes()).map_err(CertsError::Write);
    }
    if let Some(dir) = &args.dir {
        prepare(dir, args.previous_ca.is_some())?;
    }
    let made = Made::new(args, now)?;
    let previous = args
        .previous_ca
        .as_deref()
        .map(|path| still_valid(path, now))
        .transpose()?;
    let secret = yaml_out::write(&made.secret(args));
    let bundle = yaml_out::write(&made.bundle(args, previous.as_deref().unwrap_or_default()));
    match &args.dir {
        Some(dir) => {
            write_file(&dir.join("secret.yaml"), &secret)?;
            write_file(&dir.join("ca-bundle.yaml"), &bundle)
        }
        None => write!(out, "{secret}---\n{bundle}").map_err(CertsError::Write),
    }
}

/// A CA certificate, and a certificate with its key that the CA signed; the CA's key is gone.
struct Made {
    ca: String,
    chain: String,
    key: KeyPair,
}

impl Made {
    fn new(args: &CertsArgs, now: OffsetDateTime) -> Result<Self, CertsError> {
        let name = format!("{}.{}.svc", args.service, args.namespace);
        let end = now + Duration::days(args.days.into());
        let ca_key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let ca_params = authority(now, end);
        let ca = ca_params.self_signed(&ca_key)?;
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let leaf = leaf(&name, now, end)?.signed_by(&key, &Issuer::new(ca_params, ca_key))?;
        Ok(Self {
            ca: ca.pem(),
            chain: leaf.pem(),
            key,
        })
    }

    fn secret(&self, args: &CertsArgs) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": args.secret, "namespace": args.namespace},
            "type": "kubernetes.io/tls",
            "data": {
                "tls.crt": BASE64_STANDARD.encode(&self.chain),
                "tls.key": BASE64_STANDARD.encode(self.key.serialize_pem()),
                "ca.crt": BASE64_STANDARD.encode(&self.ca),
            },
        })
    }

    /// A partial configuration, as a patch for kustomize.
    fn bundle(&self, args: &CertsArgs, previous: &str) -> Value {
        let bundle = BASE64_STANDARD.encode(format!("{}{previous}", self.ca));
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
}

fn authority(now: OffsetDateTime, end: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(
        DnType::CommonName,
        format!("hybridge webhook CA {}", now.unix_timestamp()),
    );
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - CLOCK_SKEW;
    params.not_after = end;
    params
}

fn leaf(
    name: &str,
    now: OffsetDateTime,
    end: OffsetDateTime,
) -> Result<CertificateParams, CertsError> {
    let mut params =
        CertificateParams::new(vec![name.to_owned()]).map_err(|source| CertsError::Name {
            name: name.to_owned(),
            source,
        })?;
    params
        .distinguished_name
        .push(DnType::CommonName, "hybridge webhook");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.insert_extended_key_usage(ExtendedKeyUsagePurpose::ServerAuth);
    params.use_authority_key_identifier_extension = true;
    params.not_before = now - CLOCK_SKEW;
    params.not_after = end;
    Ok(params)
}

/// Makes the folder; refuses to replace a Secret unless its CA goes on being trusted.
fn prepare(dir: &Path, rotates: bool) -> Result<(), CertsError> {
    std::fs::create_dir_all(dir).map_err(|source| CertsError::File {
        what: "write",
        path: dir.to_owned(),
        source,
    })?;
    let path = dir.join("secret.yaml");
    if path.exists() && !rotates {
        return Err(CertsError::Exists { path });
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> Result<(), CertsError> {
    let failed = |source| CertsError::File {
        what: "write",
        path: path.to_owned(),
        source,
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

/// The PEM text of a file, or of `data.tls.crt` (`ca.crt` for a CA) when the file is a Secret.
fn pem_text(path: &Path, field: &str) -> Result<String, CertsError> {
    let text = std::fs::read_to_string(path).map_err(|source| CertsError::File {
        what: "read",
        path: path.to_owned(),
        source,
    })?;
    if text.contains("-----BEGIN ") {
        return Ok(text);
    }
    yaml::read(&text)
        .ok()
        .and_then(|secret| {
            BASE64_STANDARD
                .decode(secret.get("data")?.get(field)?.as_str()?)
                .ok()
        })
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| CertsError::NoCertificate {
            path: path.to_owned(),
        })
}

/// What a certificate is called in PEM, by older tools too (RFC 7468, section 5.1; OpenSSL).
const LABELS: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];

/// One certificate of a file.
struct Entry {
    subject: String,
    ends: OffsetDateTime,
    der: Vec<u8>,
}

fn entries(text: &str, path: &Path) -> Result<Vec<Entry>, CertsError> {
    let unreadable = || CertsError::NoCertificate {
        path: path.to_owned(),
    };
    let blocks = Pem::iter_from_buffer(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| unreadable())?;
    let found = blocks
        .into_iter()
        .filter(|pem| LABELS.contains(&pem.label.as_str()))
        .map(|pem| {
            // OpenSSL's trust settings follow the certificate.
            let (rest, cert) =
                X509Certificate::from_der(&pem.contents).map_err(|_| unreadable())?;
            let length = pem.contents.len() - rest.len();
            let (subject, ends) = (
                cert.subject().to_string(),
                cert.validity().not_after.to_datetime(),
            );
            Ok(Entry {
                subject,
                ends,
                der: pem.contents[..length].to_vec(),
            })
        })
        .collect::<Result<Vec<_>, CertsError>>()?;
    if found.is_empty() {
        Err(unreadable())
    } else {
        Ok(found)
    }
}

fn check(path: &Path, warn_days: u32, now: OffsetDateTime) -> Result<String, CertsError> {
    let mut report = String::new();
    let mut late = false;
    for entry in entries(&pem_text(path, "tls.crt")?, path)? {
        let left = (entry.ends - now).whole_days();
        late |= entry.ends - now < Duration::days(warn_days.into());
        let _ = writeln!(
            report,
            "{}: ends {}, {left} days left",
            entry.subject,
            entry.ends.date()
        );
    }
    if late {
        Err(CertsError::Expiring { report })
    } else {
        Ok(report)
    }
}

/// The certificates of the CA in use that have not ended, as PEM.
fn still_valid(path: &Path, now: OffsetDateTime) -> Result<String, CertsError> {
    let kept = entries(&pem_text(path, "ca.crt")?, path)?
        .into_iter()
        .filter(|entry| entry.ends > now);
    Ok(kept.map(|entry| pem_block(&entry.der)).collect())
}

fn pem_block(der: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(der);
    let mut block = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in encoded.as_bytes().chunks(64) {
        block.push_str(&String::from_utf8_lossy(line));
        block.push('\n');
    }
    block.push_str("-----END CERTIFICATE-----\n");
    block
}
