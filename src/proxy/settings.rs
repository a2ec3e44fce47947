//! What one listener's data path is told: its protocol, its upstream, its limits and timeouts.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use strum::{EnumString, IntoStaticStr, VariantNames};

use crate::proxy::identity_fields::IdentityFields;
use crate::proxy::ports::PortRange;
use crate::proxy::request_log::RequestFields;
use crate::proxy_protocol::Networks;

/// What travels inside TLS.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Protocol {
    /// HTTP/1.1 and HTTP/2, chosen by ALPN (RFC 7301).
    #[default]
    Http,
    /// Bytes both ways.
    Tcp,
    /// Bytes both ways, to the port of this pod that the client names by CONNECT.
    Tunnel,
}

impl Protocol {
    /// The word in configuration and output.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The HTTP version spoken to the upstream.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UpstreamHttp {
    /// HTTP/2 in clear text for gRPC, HTTP/1.1 for the rest.
    #[default]
    Auto,
    /// HTTP/1.1 always.
    Http1,
    /// HTTP/2 with prior knowledge always.
    Http2,
}

impl UpstreamHttp {
    /// Whether a request goes there over HTTP/2.
    pub(crate) fn is_http2(self, grpc: bool) -> bool {
        match self {
            Self::Auto => grpc,
            Self::Http1 => false,
            Self::Http2 => true,
        }
    }
}

/// Where the upstream listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum UpstreamAddr {
    /// Address and port; loopback unless the operator insisted.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
    /// What the client of a tunnel names, if it lies among these.
    Tunnel(TunnelReach),
}

/// What the clients of a tunnel reach.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TunnelReach {
    /// Addresses of this pod.
    pub addresses: Vec<IpAddr>,
    /// Ports there.
    pub ports: Vec<PortRange>,
}

impl fmt::Display for UpstreamAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tunnel(reach) => {
                let addresses = reach.addresses.iter().map(ToString::to_string);
                let ports = reach.ports.iter().map(ToString::to_string);
                let (addresses, ports): (Vec<_>, Vec<_>) = (addresses.collect(), ports.collect());
                write!(f, "{} ports {}", addresses.join(","), ports.join(","))
            }
        }
    }
}

/// What becomes of `forwarded` and `x-forwarded-*` that a client sent.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum ForwardedMode {
    /// Dropped and set anew: a client cannot pretend.
    #[default]
    Replace,
    /// Kept and added to: another trusted proxy stands in front.
    Append,
}

/// What an upstream of raw TCP is told of a client, in a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, EnumString, Eq, IntoStaticStr, PartialEq, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UpstreamProxyProtocol {
    /// Nothing.
    #[default]
    Off,
    /// Addresses, as a line of text.
    V1,
    /// Addresses, in binary.
    V2,
    /// The facts of TLS too: version, suite, group, and the server's name.
    V2Tls,
    /// And who the client is by its certificate.
    V2Identity,
}

impl UpstreamProxyProtocol {
    /// Whether the server's name is among it.
    pub(super) fn says_tls(self) -> bool {
        matches!(self, Self::V2Tls | Self::V2Identity)
    }
}

/// What one listener's data path is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// What travels inside TLS.
    pub protocol: Protocol,
    /// Where the upstream listens.
    pub upstream: UpstreamAddr,
    /// The HTTP version spoken to it.
    pub upstream_http: UpstreamHttp,
    /// Until a connection to the upstream stands.
    pub connect_timeout: Duration,
    /// How long an unused connection to the upstream is kept.
    pub upstream_idle_timeout: Duration,
    /// Unused connections to the upstream that are kept.
    pub max_idle_upstreams: usize,
    /// From the first byte of a request head (or the last answer, for a new connection: its start) to its end.
    pub head_timeout: Duration,
    /// How long a keep-alive client may say nothing between two requests; `None`: for ever.
    pub keep_alive_timeout: Option<Duration>,
    /// Silence in both directions during an exchange before it is cut; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// How long an HTTP client that alone is waited for may send nothing of its request, or take nothing of its
    /// response; `None`: for ever.
    pub client_timeout: Option<Duration>,
    /// Bytes of a request head before 431.
    pub max_head_bytes: usize,
    /// Header fields of a request before 431.
    pub max_headers: usize,
    /// Concurrent streams of one HTTP/2 connection.
    pub max_streams: u32,
    /// What becomes of forwarding headers of a client.
    pub forwarded: ForwardedMode,
    /// What the app is told of a client's certificate.
    pub identity: IdentityFields,
    /// What the access log says of each request; nothing: no line.
    pub access_log: RequestFields,
    /// Whether the pieces of token streams are timed.
    pub stream_metrics: bool,
    /// Proxies in front that say by the PROXY protocol for whom they connect.
    pub proxy_protocol_from: Networks,
    /// What the upstream is told before the client's first byte.
    pub upstream_proxy_protocol: UpstreamProxyProtocol,
}

/// How long an exchange may be silent; `None` without end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timeouts {
    /// Both sides.
    pub(crate) idle: Option<Duration>,
    /// A client that alone is waited for.
    pub(crate) client: Option<Duration>,
}

impl Settings {
    /// Those of a request and its response.
    pub(super) fn timeouts(&self) -> Timeouts {
        Timeouts {
            idle: self.idle_timeout,
            client: self.client_timeout,
        }
    }

    /// Those of a tunnel, in which either side may be silent.
    pub(super) fn tunnel_timeouts(&self) -> Timeouts {
        Timeouts {
            client: None,
            ..self.timeouts()
        }
    }

    /// Whether it matters where a client connected to.
    pub(super) fn needs_local_address(&self) -> bool {
        self.protocol == Protocol::Tunnel
            || self.upstream_proxy_protocol != UpstreamProxyProtocol::Off
    }
}
