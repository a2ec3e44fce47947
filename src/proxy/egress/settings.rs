//! What one egress' data path is told.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::ServerName;

use strum::{EnumString, IntoStaticStr, VariantNames};

use super::allowed::TargetRule;
use super::template::Template;
use crate::proxy::origin::Target;
use crate::proxy::settings::{Protocol, UpstreamHttp};

/// How apps say where their connections go.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Capture {
    /// They do not: there is one target.
    #[default]
    None,
    /// By CONNECT to a forward proxy.
    HttpProxy,
    /// By SOCKS5.
    Socks5,
    /// They do not know: the kernel redirects their connections here, and knows where they went.
    Redirect,
}

/// Where connections go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Destination {
    /// To this target.
    Target(Target),
    /// To the target that the app names, if a rule lets it.
    Named(Named),
}

/// How apps name targets, and what comes of those.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Named {
    /// How they name them.
    pub capture: Capture,
    /// Which they may.
    pub allowed: Vec<TargetRule>,
    /// Where their connections go; `None`: to the target itself.
    pub via: Option<Template>,
    /// Whether the far side is asked for the target, inside TLS.
    pub tunnel: bool,
}

impl Destination {
    /// How apps name their targets.
    pub(super) fn capture(&self) -> Capture {
        match self {
            Self::Target(_) => Capture::None,
            Self::Named(named) => named.capture,
        }
    }

    /// Whether the far side is asked for the target.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self, Self::Named(named) if named.tunnel)
    }

    /// Where a connection goes whose app names `named`.
    pub(super) fn via(&self, named: &Target) -> Target {
        match self {
            Self::Named(Named { via: Some(via), .. }) => via.of(named),
            _ => named.clone(),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => target.fmt(f),
            Self::Named(Named { capture, via, .. }) => {
                f.write_str((*capture).into())?;
                via.iter().try_for_each(|via| write!(f, " to {via}"))
            }
        }
    }
}

/// What one egress' data path is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// What the app speaks.
    pub protocol: Protocol,
    /// The HTTP version spoken to the server.
    pub upstream_http: UpstreamHttp,
    /// Where its connections go.
    pub destination: Destination,
    /// What the server's certificate is to be for, if that is not the target's host.
    pub server_name: Option<ServerName<'static>>,
    /// Until a name has addresses.
    pub resolve_timeout: Duration,
    /// Until one of the addresses has answered.
    pub connect_timeout: Duration,
    /// Silence in both directions before a connection is cut; `None`: never.
    pub idle_timeout: Option<Duration>,
}

impl Settings {
    /// Whether requests of HTTP are read, and not only bytes relayed.
    pub(super) fn serves_requests(&self) -> bool {
        let proxies =
            self.destination.capture() == Capture::HttpProxy && !self.destination.is_tunnel();
        self.protocol == Protocol::Http || proxies
    }
}
