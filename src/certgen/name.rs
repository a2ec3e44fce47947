//! A name a server certificate is issued for: a DNS name, with a wildcard or without, or an IP address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use rustls::pki_types::DnsName;

use crate::redact::Shown;

/// One subject alternative name (RFC 5280, section 4.2.1.6).
#[derive(Clone, Debug, Eq, PartialEq, strum::Display)]
pub enum Name {
    #[strum(to_string = "{0}")]
    Address(IpAddr),
    #[strum(to_string = "{0}")]
    Dns(String),
}

/// Text that is no name of a server.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "\"{0}\" is neither an IP address nor a DNS name (`localhost`, `api.example.com`, `*.example.com`, `127.0.0.1`, `::1`)"
)]
pub struct NameError(Shown);

impl Name {
    /// What a server on this machine is called.
    pub fn defaults() -> Vec<Self> {
        vec![
            Self::Dns("localhost".to_owned()),
            Self::Address(Ipv4Addr::LOCALHOST.into()),
            Self::Address(Ipv6Addr::LOCALHOST.into()),
        ]
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let host = text.strip_prefix("*.").unwrap_or(text);
        match DnsName::try_from(host) {
            Ok(_) => Ok(Self::Dns(text.to_ascii_lowercase())),
            Err(_) => Err(NameError(text.into())),
        }
    }
}
