//! `inject certs --check`: whether the API server accepts what the injector would serve, beside its days.

use std::path::Path;
use std::time::SystemTime;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use time::OffsetDateTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::tls::credentials::{Credentials, PairText};
use crate::tls::served;

/// Why it does not, for the certificates of `text`, which are in date. A file of CAs is asked for its days only.
pub(super) fn refusal(
    text: &str,
    chain: &[CertificateDer<'_>],
    secret: Option<&Value>,
    name: &str,
    now: OffsetDateTime,
) -> Option<String> {
    let leaf = chain.first()?;
    let is_ca = |der: &CertificateDer<'_>| {
        X509Certificate::from_der(der).is_ok_and(|(_, x509)| x509.is_ca())
    };
    let cas = match secret {
        None if is_ca(leaf) => return None,
        None => Vec::new(),
        Some(secret) => {
            if let Some(why) = of_key(text, secret, now) {
                return Some(why);
            }
            cas(secret)
        }
    };
    served::refusal(chain, &cas, name, now.unix_timestamp())
}

/// Why the injector would not start with the Secret.
fn of_key(text: &str, secret: &Value, now: OffsetDateTime) -> Option<String> {
    let Some(key) = of_secret(secret, "tls.key") else {
        return Some("the Secret has no tls.key".to_owned());
    };
    let text = PairText {
        cert: text.as_bytes().to_vec().into(),
        key: key.into_bytes().into(),
    };
    let (cert, key) = (Path::new("tls.crt"), Path::new("tls.key"));
    let loaded = Credentials::from_text(cert, key, &text, SystemTime::from(now));
    loaded.err().map(|why| why.to_string())
}

/// Whether an object has the fields of a Secret. A ConfigMap has its PEM in clear, and is read as a file of PEM.
pub(super) fn is_secret(object: &Value) -> bool {
    let has = |field| object.get(field).is_some();
    let kind = object.get("kind");
    kind.is_none_or(|kind| kind == "Secret") && (has("data") || has("stringData"))
}

/// A field of a Secret. One of `stringData` replaces that of `data`, as the API server does it.
pub(super) fn of_secret(secret: &Value, field: &str) -> Option<String> {
    let in_clear = secret.get("stringData").and_then(|data| data.get(field));
    if let Some(text) = in_clear {
        return text.as_str().map(str::to_owned);
    }
    let encoded = secret.get("data")?.get(field)?.as_str()?;
    String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()
}

/// The CAs beside the certificate; none where they cannot be read.
fn cas(secret: &Value) -> Vec<CertificateDer<'static>> {
    let text = of_secret(secret, "ca.crt").unwrap_or_default();
    let found = hybridge_pem::certificates(text.as_bytes()).unwrap_or_default();
    found
        .into_iter()
        .map(|certificate| certificate.der)
        .collect()
}
