//! The scenarios: what one operation is, what it needs of a target, which sizes it has unless told.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    FullHandshake,
    HelloRetryHandshake,
    ResumedHandshake,
    H1Keepalive,
    H2Keepalive,
    RequestPerConnection,
    GrpcUnary,
    GrpcStream,
    TokenStream,
    Upload,
    Download,
    TcpUpload,
    TcpDownload,
    GradientExchange,
    TcpGradientExchange,
    ModelCheckpoint,
    FederatedRound,
    Idle,
    Mix,
}

/// What a target must understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Http,
    /// The tool's own block protocol over raw TCP.
    Blocks,
}

/// Sizes and counts a scenario has by default.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    pub connections: u32,
    pub up: u64,
    pub down: u64,
    pub tokens: u32,
    pub token_interval_us: u64,
}

/// The word of a closed set that plans and flags use.
pub(super) fn name_of(word: &impl ValueEnum) -> String {
    let value = word.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Scenario {
    /// The name plans and flags use.
    pub fn name(self) -> String {
        name_of(&self)
    }

    /// The scenario of that name.
    pub fn named(name: &str) -> Result<Self, String> {
        Self::from_str(name, false).map_err(|_| {
            let known = Self::value_variants().iter();
            let known: Vec<_> = known.map(|scenario| scenario.name()).collect();
            format!(
                "unknown scenario \"{name}\"; known are {}",
                known.join(", ")
            )
        })
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::FullHandshake => "Full handshake",
            Self::HelloRetryHandshake => "Handshake after HelloRetryRequest",
            Self::ResumedHandshake => "Resumed handshake",
            Self::H1Keepalive => "HTTP/1.1 request, keep-alive",
            Self::H2Keepalive => "HTTP/2 request, keep-alive",
            Self::RequestPerConnection => "One request per connection",
            Self::GrpcUnary => "gRPC unary call",
            Self::GrpcStream => "gRPC stream, message and echo",
            Self::TokenStream => "SSE token stream",
            Self::Upload => "Bulk upload over HTTP",
            Self::Download => "Bulk download over HTTP",
            Self::TcpUpload => "Bulk upload over raw TCP",
            Self::TcpDownload => "Bulk download over raw TCP",
            Self::GradientExchange => "Gradient exchange over HTTP",
            Self::TcpGradientExchange => "Gradient exchange over raw TCP",
            Self::ModelCheckpoint => "Model checkpoint",
            Self::FederatedRound => "Federated round",
            Self::Idle => "Idle connections",
            Self::Mix => "Mix",
        }
    }

    pub fn speaks(self) -> Speaks {
        match self {
            Self::TcpUpload | Self::TcpDownload | Self::TcpGradientExchange => Speaks::Blocks,
            _ => Speaks::Http,
        }
    }

    /// The operation is a handshake and nothing else.
    pub fn is_handshake(self) -> bool {
        matches!(
            self,
            Self::FullHandshake | Self::HelloRetryHandshake | Self::ResumedHandshake
        )
    }

    /// Cost is told per GiB.
    pub fn is_bulk(self) -> bool {
        matches!(
            self,
            Self::Upload
                | Self::Download
                | Self::TcpUpload
                | Self::TcpDownload
                | Self::GradientExchange
                | Self::TcpGradientExchange
                | Self::ModelCheckpoint
                | Self::FederatedRound
        )
    }

    pub fn streams_tokens(self) -> bool {
        self == Self::TokenStream || self == Self::Mix
    }

    /// Speaks HTTP/2, so that one connection carries several operations at the same time.
    pub fn multiplexes(self) -> bool {
        matches!(self, Self::H2Keepalive | Self::GrpcUnary | Self::GrpcStream)
    }

    /// Each operation opens a connection of its own.
    pub fn connects_each_time(self) -> bool {
        self.is_handshake()
            || matches!(
                self,
                Self::RequestPerConnection | Self::ModelCheckpoint | Self::FederatedRound
            )
    }

    pub fn defaults(self) -> Defaults {
        let of = |connections, up, down| Defaults {
            connections,
            up,
            down,
            tokens: 0,
            token_interval_us: 0,
        };
        match self {
            Self::FullHandshake | Self::HelloRetryHandshake | Self::ResumedHandshake => of(4, 0, 0),
            Self::H1Keepalive | Self::H2Keepalive => of(8, 0, KIB),
            Self::RequestPerConnection => of(4, 0, KIB),
            Self::GrpcUnary | Self::GrpcStream => of(8, KIB, KIB),
            Self::TokenStream => Defaults {
                tokens: 64,
                token_interval_us: 2000,
                ..of(8, 0, 0)
            },
            Self::Upload | Self::TcpUpload => of(2, 16 * MIB, 0),
            Self::Download | Self::TcpDownload => of(2, 0, 16 * MIB),
            Self::GradientExchange | Self::TcpGradientExchange => of(2, MIB, MIB),
            Self::ModelCheckpoint => of(1, 0, 128 * MIB),
            Self::FederatedRound => of(8, 512 * KIB, 2 * MIB),
            Self::Idle => of(100, 0, KIB),
            Self::Mix => Defaults {
                tokens: 16,
                token_interval_us: 1000,
                ..of(8, 64 * KIB, KIB)
            },
        }
    }
}
