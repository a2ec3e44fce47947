//! Which fields tell the app of a client's certificate.

use strum::{EnumString, IntoStaticStr, VariantNames};

/// A field about a client's certificate.
#[derive(Clone, Copy, Debug, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum IdentityField {
    /// Envoy's: the facts, never the certificate.
    XForwardedClientCert,
    /// RFC 9440: the certificate.
    ClientCert,
    /// RFC 9440: the certificates above it.
    ClientCertChain,
}

/// The fields that tell the app of a client's certificate; any number of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdentityFields(pub Vec<IdentityField>);

impl IdentityField {
    /// The field's name.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl IdentityFields {
    /// Whether the certificate itself is among it: facts do not make it.
    pub fn needs_certificate(&self) -> bool {
        self.0
            .iter()
            .any(|field| *field != IdentityField::XForwardedClientCert)
    }
}
