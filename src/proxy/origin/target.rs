//! A target as operators write it: HOST:PORT. Pure.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use rustls::pki_types::ServerName;

use crate::proxy::ports::port_number;

/// Where a connection goes: a name or an address, and a port.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    host: Host,
    port: u16,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Host {
    Name(String),
    Address(IpAddr),
}

/// Why a text is no target; continues the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    /// No port.
    #[error("has no port: write HOST:PORT, such as train-0.train:29443")]
    NoPort,
    /// A port that is none.
    #[error("has no port from 1 to 65535 behind its last colon")]
    Port,
    /// A host that is none.
    #[error("has no host that is a DNS name or an address (IPv6 in brackets)")]
    Host,
    /// A URL.
    #[error("is a URL: write HOST:PORT only")]
    Url,
    /// Every address of a host.
    #[error("is the unspecified address: write the server's own")]
    Unspecified,
}

impl Target {
    /// The name to resolve, if it is none of an address already.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The same host at another port.
    pub(crate) fn with_port(&self, port: u16) -> Self {
        Self {
            host: self.host.clone(),
            port,
        }
    }

    /// What stands in `host` for it: without the port that https has anyway.
    pub(crate) fn authority(&self) -> String {
        let whole = self.to_string();
        let bare = whole.strip_suffix(":443").map(str::to_owned);
        bare.unwrap_or(whole)
    }

    /// The address, if it is written as one.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Name(_) => None,
            Host::Address(ip) => Some(SocketAddr::new(ip, self.port)),
        }
    }

    /// What the server's certificate is to be for.
    pub fn server_name(&self) -> Result<ServerName<'static>, TargetError> {
        match &self.host {
            Host::Address(ip) => Ok(ServerName::IpAddress((*ip).into())),
            // A name of the search list is no name of a certificate: the dot at the end is for resolvers.
            Host::Name(name) => server_name(name.trim_end_matches('.')),
        }
    }
}

/// A name as certificates have it: of DNS, or an address.
pub fn server_name(text: &str) -> Result<ServerName<'static>, TargetError> {
    ServerName::try_from(text.to_owned()).map_err(|_| TargetError::Host)
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.contains("://") {
            return Err(TargetError::Url);
        }
        let (host, port) = text.rsplit_once(':').ok_or(TargetError::NoPort)?;
        let port = port_number(port).ok_or(TargetError::Port)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match (bracketed, host.parse::<IpAddr>()) {
            (Some(host), _) => Host::Address(host.parse().map_err(|_| TargetError::Host)?),
            (None, Ok(IpAddr::V6(_))) => return Err(TargetError::Host),
            (None, Ok(address)) => Host::Address(address),
            (None, Err(_)) => Host::Name(host.to_ascii_lowercase()),
        };
        if matches!(host, Host::Address(ip) if ip.is_unspecified()) {
            return Err(TargetError::Unspecified);
        }
        let target = Self { host, port };
        target.server_name()?;
        Ok(target)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: Host::Address(address.ip().to_canonical()),
            port: address.port(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Address(ip) => SocketAddr::new(*ip, self.port).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_target_is_a_name_or_an_address_and_a_port() {
        for text in [
            "train-0.train:29443",
            "rank_0.train:1",
            "localhost:65535",
            "10.0.0.7:443",
            "[2001:db8::7]:443",
            "a.svc.cluster.local.:443",
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
            assert_eq!(
                target.address().is_none(),
                target.name().is_some(),
                "{text}"
            );
        }
        let upper: Target = "Train.SVC:443".parse().unwrap();
        assert_eq!(upper.to_string(), "train.svc:443");
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, expected) in [
            ("train", TargetError::NoPort),
            ("train:", TargetError::Port),
            ("train:0", TargetError::Port),
            ("train:70000", TargetError::Port),
            ("train:+443", TargetError::Port),
            ("train:0443", TargetError::Port),
            (":443", TargetError::Host),
            ("a b:443", TargetError::Host),
            ("2001:db8::7:443", TargetError::Host),
            ("[train]:443", TargetError::Host),
            ("https://train:443", TargetError::Url),
            ("0.0.0.0:443", TargetError::Unspecified),
            ("[::]:443", TargetError::Unspecified),
        ] {
            let parsed: Result<Target, _> = text.parse();
            assert_eq!(parsed, Err(expected), "{text}");
        }
    }
}
