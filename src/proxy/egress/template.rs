//! Where connections go whose app names a target: as a template of that. Pure.

use std::fmt;
use std::str::FromStr;

use crate::proxy::origin::{Target, TargetError};
use crate::proxy::ports::port_number;

const HOST: &str = "{host}";
const PORT: &str = "{port}";

/// `{host}:15443`, `{host}:{port}`, `relay.example.org:15443`: what stands in braces is as the app names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    /// A host with any port.
    host: Option<Target>,
    port: Option<u16>,
}

impl Template {
    /// Where a connection goes whose app names `named`.
    pub(crate) fn of(&self, named: &Target) -> Target {
        let host = self.host.as_ref().unwrap_or(named);
        host.with_port(self.port.unwrap_or(named.port()))
    }

    /// Whether each host that an app names is where its connection goes.
    pub(crate) fn has_host(&self) -> bool {
        self.host.is_none()
    }
}

impl FromStr for Template {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if text.contains("://") {
            return Err(TargetError::Url);
        }
        let (host, port) = text.rsplit_once(':').ok_or(TargetError::NoPort)?;
        let port = match port {
            PORT => None,
            port => Some(port_number(port).ok_or(TargetError::Port)?),
        };
        let host = match host {
            HOST => None,
            host => Some(format!("{host}:{}", port.unwrap_or(1)).parse()?),
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (Some(host), Some(port)) => host.with_port(port).fmt(f),
            (Some(host), None) => {
                let host = host.with_port(1).to_string();
                write!(f, "{}:{PORT}", host.strip_suffix(":1").unwrap_or(&host))
            }
            (None, Some(port)) => write!(f, "{HOST}:{port}"),
            (None, None) => write!(f, "{HOST}:{PORT}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_stands_in_braces_is_as_the_app_names_it() {
        for (template, named, expected) in [
            ("{host}:15443", "rank-1.train:29500", "rank-1.train:15443"),
            ("{host}:15443", "[2001:db8::7]:29500", "[2001:db8::7]:15443"),
            ("{host}:{port}", "store:9000", "store:9000"),
            ("relay:15443", "store:9000", "relay:15443"),
            ("10.0.0.7:{port}", "store:9000", "10.0.0.7:9000"),
        ] {
            let parsed: Template = template.parse().unwrap();
            assert_eq!(parsed.to_string(), template);
            assert_eq!(parsed.of(&named.parse().unwrap()).to_string(), expected);
        }
        for (text, expected) in [
            ("{host}", TargetError::NoPort),
            ("{host}:0", TargetError::Port),
            ("{host}:{Port}", TargetError::Port),
            ("x{host}:15443", TargetError::Host),
            ("https://{host}:15443", TargetError::Url),
        ] {
            assert_eq!(text.parse::<Template>(), Err(expected), "{text}");
        }
    }
}
