//! One generation of authorities and rules, made from the text of a file.

use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{Context, SHA256};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::authorities;
use super::error::TrustError;
use super::settings::{ClientAuth, Settings};
use crate::tls::credentials::{hex, unix_seconds};
use crate::tls::identity::Rules;

/// Authorities and rules, ready to judge.
#[derive(Debug)]
pub struct Trust {
    pub(super) chains: Arc<dyn ClientCertVerifier>,
    pub(super) rules: Rules,
    digest: [u8; 32],
    warnings: Vec<String>,
}

impl Trust {
    pub(super) fn from_text(settings: &Settings, text: &[u8]) -> Result<Self, TrustError> {
        let now = unix_seconds(SystemTime::now());
        let (roots, warnings) = authorities::parse(&settings.ca, text, now)?;
        Ok(Self {
            chains: chains(settings, roots)?,
            rules: settings.rules.clone(),
            digest: digest(settings, text),
            warnings,
        })
    }

    /// Whether it was made from this.
    pub(super) fn is_of(&self, settings: &Settings, text: &[u8]) -> bool {
        self.digest == digest(settings, text)
    }

    /// What can be used and still surprises.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// SHA-256 of everything that decides who may in, in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        hex(&self.digest)
    }
}

fn chains(
    settings: &Settings,
    roots: RootCertStore,
) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let provider = Arc::new(rustls_post_quantum::provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match settings.mode {
        ClientAuth::Required => builder,
        ClientAuth::Optional | ClientAuth::Off => builder.allow_unauthenticated(),
    };
    builder.build().map_err(|cause| TrustError::Unusable {
        path: settings.ca.as_path().into(),
        cause: cause.to_string(),
    })
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
