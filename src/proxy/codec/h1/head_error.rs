//! Why a message head is refused, in either direction and version (RFC 9112 §2.2, §3, §6).

use rustls::AlertDescription;
use thiserror::Error;

use crate::tls::stream::broke_tls;

/// Why a head was refused.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum HeadError {
    #[error("a bare CR in the head")]
    BareCarriageReturn,
    #[error("a bare LF in the head")]
    BareLineFeed,
    #[error("content-length and transfer-encoding together")]
    BothFramings,
    #[error("CONNECT is not served")]
    Connect,
    #[error("a CONNECT has no body")]
    ConnectBody,
    #[error("a CONNECT behind another request: it has to be the first of its connection")]
    LateConnect,
    #[error("a content-length that is no number, or two of them")]
    ContentLength,
    #[error("a missing, repeated or malformed host")]
    Host,
    #[error("the head does not follow HTTP/2, or is too large")]
    Http2,
    /// The whole connection, which we ended with this.
    #[error("what it sends does not follow HTTP/2: {0:?}")]
    Http2Frames(h2::Reason),
    #[error("it answers HTTP/2 in HTTP/1.1: set upstream-http to http1")]
    OnlyHttp1,
    #[error("the head does not follow the HTTP/1.1 grammar")]
    Malformed,
    #[error("a NUL byte in the head")]
    Nul,
    #[error("the request target is malformed")]
    Target,
    #[error("the head is too large")]
    TooLarge,
    #[error("a switch of protocols other than the one that was asked for")]
    Switch,
    #[error("it is a TLS alert: the app takes TLS alone, and gets plaintext")]
    Tls,
    #[error("{}", broke_tls(*.0))]
    BrokenTls(AlertDescription),
    #[error("too many header fields")]
    TooManyFields,
    #[error("too many interim responses")]
    TooManyInterim,
    #[error("a transfer-encoding other than chunked")]
    TransferEncoding,
    #[error(
        "a sec-websocket-accept that does not belong to the key: the server did not read the handshake"
    )]
    WebSocketAccept,
    #[error("an HTTP version that is not served")]
    Version,
}

/// A record of a TLS alert of any version (RFC 8446 §5.1).
const TLS_ALERT: &[u8] = &[21, 3];
const HTTP1: &[u8] = b"HTTP/1.";
/// First bytes that tell what a server speaks which was spoken to in HTTP/2.
pub(crate) const TELLING: usize = HTTP1.len();

impl HeadError {
    /// The server takes TLS only: it begins with an alert.
    pub(crate) fn of_tls(first: &[u8]) -> Option<Self> {
        first.starts_with(TLS_ALERT).then_some(Self::Tls)
    }

    /// What a server speaks that was spoken to in HTTP/2, if its first bytes tell that it is something else.
    pub(crate) fn instead_of_http2(first: &[u8]) -> Option<Self> {
        let http1 = first.starts_with(HTTP1).then_some(Self::OnlyHttp1);
        http1.or_else(|| Self::of_tls(first))
    }

    /// The status that answers it.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::TooLarge | Self::TooManyFields => 431,
            Self::TransferEncoding | Self::Connect | Self::LateConnect => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

impl From<httparse::Error> for HeadError {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooManyFields,
            httparse::Error::Version => Self::Version,
            _ => Self::Malformed,
        }
    }
}
