//! The client side of TLS 1.3: which groups are offered, which CA is trusted.
//! The bytes are counted elsewhere (`net::stream`); nothing here does network IO.

pub mod groups;
mod identity;
pub mod trust;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::{ClientConfig, NamedGroup};

use crate::error::{Error, Result};
pub use groups::Group;
pub use identity::ClientIdentity;
pub use trust::Trust;

/// What a client brings to the handshake.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Groups in the order of `supported_groups`; a share is sent for the first.
    pub groups: Vec<Group>,
    /// Application protocols, in order of preference; empty sends no ALPN.
    pub alpn: Vec<&'static str>,
    /// Keep tickets and offer them again.
    pub resume: bool,
    /// What a server that asks for a certificate gets; without one, none.
    pub identity: Option<ClientIdentity>,
}

/// Builds a client configuration of its own: no other connection shares its tickets.
pub fn client_config(trust: &Trust, offer: &Offer) -> Result<Arc<ClientConfig>> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = offer.groups.iter().map(|group| group.exchange()).collect();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| {
            Error::Usage(format!("these groups cannot be used with TLS 1.3: {error}"))
        })?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier());
    let mut config = match &offer.identity {
        Some(identity) => builder.with_client_cert_resolver(identity.resolver()),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = offer
        .alpn
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    // Without a store there is also no memory of the server's group, so the first share stays what was asked for.
    config.resumption = if offer.resume {
        Resumption::in_memory_sessions(64)
    } else {
        Resumption::disabled()
    };
    Ok(Arc::new(config))
}

/// The IANA name of a negotiated group, or its number in hex.
pub fn group_name(group: NamedGroup) -> String {
    Group::ALL
        .iter()
        .find(|known| known.number() == u16::from(group))
        .map_or_else(
            || format!("{:#06x}", u16::from(group)),
            |known| known.name().to_owned(),
        )
}
