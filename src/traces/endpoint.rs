//! Where the collector listens, as OTLP writes it: a URL to which `/v1/traces` is added. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::Uri;

use crate::redact::Shown;

/// What OTLP over HTTP adds to the endpoint (OTLP specification, "OTLP/HTTP Request").
const SIGNAL: &str = "/v1/traces";

/// What stands in the place of a path: it may be a token, as SaaS collectors have it.
const PATH: &str = "(path, not shown)";

/// Where the collector listens. Displayed without its path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    https: bool,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

/// Why a text is no endpoint; continues the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EndpointError {
    /// Not a URL with scheme and host.
    #[error(
        "is no URL: write http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:4318"
    )]
    Url,
    /// A scheme of another transport.
    #[error(
        "is not OTLP over HTTP: write http:// or https://, and the port of OTLP/HTTP, usually 4318"
    )]
    Scheme,
    /// A name and a password in front of the host.
    #[error(
        "names a user: remove what is before the @, hybridge sends no credentials to a collector"
    )]
    User,
    /// A query or a fragment.
    #[error("has a query or a fragment: write the URL up to the path")]
    Query,
    /// The path of traces.
    #[error("has the path of traces already: remove /v1/traces, it is added")]
    Signal,
}

impl Endpoint {
    /// Whether it is asked over TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// A text that is to be one, as a message repeats it.
    pub fn shown(text: &str) -> String {
        let shown = Shown::from(text).to_string();
        let start = match shown.split_once("://") {
            Some((scheme, _)) if !scheme.contains('/') => scheme.len() + "://".len(),
            _ => 0,
        };
        // Where a browser sees a path, too.
        let Some(slash) = shown[start..].find(['/', '\\']) else {
            return shown;
        };
        let path = start + slash + 1;
        let end = shown[path..].find(['?', '#']);
        let end = end.map_or(shown.len(), |end| path + end);
        if path == end {
            return shown;
        }
        format!("{}{PATH}{}", &shown[..path], &shown[end..])
    }

    /// The whole of it. For what connects there, and for no message.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.path)
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// The addresses that it surely leads to: what it is, or those of loopback.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let all: Vec<IpAddr> = match self.host.parse() {
            Ok(ip) => vec![ip],
            Err(_) if self.is_local() => loopback.into(),
            Err(_) => Vec::new(),
        };
        let with_port = all.into_iter().map(|ip| SocketAddr::new(ip, self.port));
        with_port.collect()
    }

    /// The host, IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether what is sent there stays on this host.
    pub fn is_local(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback(),
            Err(_) => self.host == "localhost",
        }
    }

    /// What is allowed and most likely a mistake.
    pub fn warning(&self) -> Option<&'static str> {
        /// Of OTLP over gRPC.
        const GRPC: u16 = 4317;
        (self.port == GRPC).then_some(
            "traces.endpoint: port 4317 is usually that of OTLP over gRPC; OTLP over HTTP, which is spoken here, has 4318",
        )
    }

    /// What stands in `host`.
    pub(super) fn authority(&self) -> String {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) => format!("[{ip}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// The target of a request.
    pub(super) fn target(&self) -> String {
        format!("{}{SIGNAL}", self.path)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::Url)?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) => return Err(EndpointError::Scheme),
            None => return Err(EndpointError::Url),
        };
        let authority = uri.authority().ok_or(EndpointError::Url)?;
        // A password with a slash in it makes a path of what follows.
        if authority.as_str().contains('@') || uri.path().contains('@') {
            return Err(EndpointError::User);
        }
        // A fragment is not kept by `Uri`.
        if uri.query().is_some() || text.contains('#') {
            return Err(EndpointError::Query);
        }
        let path = uri.path().trim_end_matches('/');
        if path.ends_with(SIGNAL) {
            return Err(EndpointError::Signal);
        }
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let written_port = authority.as_str() != host;
        let port = match authority.port_u16() {
            Some(0) => return Err(EndpointError::Url),
            Some(port) => port,
            None if written_port => return Err(EndpointError::Url),
            None if https => 443,
            None => 80,
        };
        if bare.is_empty() {
            return Err(EndpointError::Url);
        }
        Ok(Self {
            https,
            host: bare.to_ascii_lowercase(),
            port,
            path: path.to_owned(),
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())?;
        match self.path.as_str() {
            "" => Ok(()),
            _ => write!(f, "/{PATH}"),
        }
    }
}

#[cfg(test)]
mod tests;
