//! Whom a listener believes: authorities and rules, loaded and judged as one.
//!
//! A certificate that is presented is verified inside the handshake, in `optional` mode too: none is
//! fine there, a bad one is not. Sources: RFC 5280 §6, RFC 8446 §4.4.2.4.

mod authorities;
mod error;
mod noted;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use self::error::TrustError;
pub(super) use self::noted::Noted;
use self::verifier::Verifier;
use super::credentials::{read_certificates, unix_seconds};
use super::identity::Rules;

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ClientAuth {
    /// Never.
    #[default]
    Off,
    /// They may have none; one that they have must be good.
    Optional,
    /// Without one there is no connection.
    Required,
}

/// What a listener is told of its clients' certificates.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether a client may have none.
    pub mode: ClientAuth,
    /// PEM bundle of the authorities.
    pub ca: PathBuf,
    /// Who may in of those they certify.
    pub rules: Rules,
}

/// Authorities and rules, ready to judge.
#[derive(Debug)]
pub struct Trust {
    verifier: Arc<Verifier>,
    digest: [u8; 32],
    warnings: Vec<String>,
}

impl Trust {
    /// Reads and checks the authorities.
    pub fn load(settings: &Settings) -> Result<Self, TrustError> {
        let text = read_certificates(&settings.ca)?;
        Self::from_text(settings, &text)
    }

    fn from_text(settings: &Settings, text: &[u8]) -> Result<Self, TrustError> {
        let now = unix_seconds(SystemTime::now());
        let (roots, warnings) = authorities::parse(&settings.ca, text, now)?;
        Ok(Self {
            verifier: Arc::new(verifier(settings, roots)?),
            digest: digest(settings, text),
            warnings,
        })
    }

    /// What can be used and still surprises.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Of everything that decides who may in.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Judges what clients present.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.verifier) as _
    }
}

fn verifier(settings: &Settings, roots: RootCertStore) -> Result<Verifier, TrustError> {
    let provider = Arc::new(rustls_post_quantum::provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match settings.mode {
        ClientAuth::Required => builder,
        ClientAuth::Optional | ClientAuth::Off => builder.allow_unauthenticated(),
    };
    let inner = builder.build().map_err(|cause| TrustError::Unusable {
        path: Path::new(&settings.ca).into(),
        cause: cause.to_string(),
    })?;
    Ok(Verifier::new(inner, settings.rules.clone()))
}

fn digest(settings: &Settings, text: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let mode: &str = settings.mode.into();
    let rules = format!("{:?}", settings.rules);
    for part in [mode.as_bytes(), rules.as_bytes(), text] {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}
