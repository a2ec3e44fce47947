//! Why a handshake did not complete: a closed set, each with the label it is counted under.

mod from_rustls;

use rustls::{AlertDescription, CertificateError, PeerIncompatible, PeerMisbehaved};
use thiserror::Error;

use crate::proxy_protocol::HeaderError;
use crate::tls::unverified::cause;

/// Why a handshake did not complete.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// A key share of the wrong length or content.
    #[error("the client sent a key share that is not valid")]
    BadKeyShare,
    /// An alert of the client other than distrust.
    #[error("the client ended the handshake with alert {0:?}")]
    ClientAlert(AlertDescription),
    /// The client does not accept the certificate.
    #[error("the client does not trust the certificate (alert {0:?})")]
    ClientDistrusts(AlertDescription),
    /// A certificate that no rule lets in.
    #[error("the client's certificate is verified, but no allow rule matches its names")]
    ClientCertificateDenied,
    /// A certificate outside its validity.
    #[error("the client's certificate {0}")]
    ClientCertificateExpired(&'static str),
    /// No certificate, and one is required.
    #[error("the client sent no certificate, and `client-auth` is `required`")]
    ClientCertificateMissing,
    /// A certificate on its issuer's revocation list.
    #[error("the client's certificate, or a CA above it, is revoked")]
    ClientCertificateRevoked,
    /// A certificate that `client-ca` does not vouch for.
    #[error("the client's certificate cannot be verified with `client-ca`: {}", cause(.0))]
    ClientCertificateUntrusted(CertificateError),
    /// A certificate that is not for clients.
    #[error("the client's certificate is not for client authentication (extended key usage)")]
    ClientCertificateWrongPurpose,
    /// A revocation list that had to be replaced.
    #[error(
        "the revocation list of the issuer of the client's certificate is out of date: replace it in `client-crl`, or at the agent"
    )]
    CrlStale,
    /// A record that does not decrypt.
    #[error("the client sent a record that does not decrypt")]
    Decrypt,
    /// The library or the configuration failed.
    #[error("the handshake failed inside the proxy")]
    Internal,
    /// Bytes that are TLS but not well-formed.
    #[error("the client sent a malformed message")]
    Malformed,
    /// A record longer than one may be.
    #[error("the client sent a record longer than 16384 bytes")]
    Oversized,
    /// Well-formed but against the protocol.
    #[error("the client broke the protocol: {0:?}")]
    Misbehaved(PeerMisbehaved),
    /// There is no certificate to serve yet.
    #[error("there is no certificate to serve yet: /readyz says what is waited for")]
    NoCertificate,
    /// The client offers only protocols that are not served.
    #[error("no application protocol in common")]
    NoCommonAlpn,
    /// The client lists no group that the policy admits.
    #[error("no key-exchange group in common")]
    NoCommonGroup,
    /// The client lists no signature scheme of the certificate.
    #[error("no signature scheme in common")]
    NoCommonSignature,
    /// The client lists no suite of the listener.
    #[error("no cipher suite in common")]
    NoCommonSuite,
    /// Closed before the first byte, as a TCP health check does.
    #[error("the client closed before it sent anything")]
    NoHello,
    /// A name that no certificate of the listener is for.
    #[error(
        "the client asks for a server name that no certificate is for, and `unknown-name` is `refuse`"
    )]
    UnknownServerName,
    /// Bytes that are not TLS.
    #[error("the client does not speak TLS")]
    NotTls,
    /// Another feature of TLS 1.3 that the client lacks.
    #[error("the client is incompatible: {0:?}")]
    Incompatible(PeerIncompatible),
    /// The start of another protocol on the TLS port, which the listener recognised: HTTP.
    #[error("the client sent plain HTTP to the TLS port")]
    Plaintext,
    /// No PROXY protocol header before the handshake where one was expected, or a bad one.
    #[error(transparent)]
    ProxyHeader(HeaderError),
    /// Ended to make room for another: it waited for its client when the limit was reached.
    #[error("the handshake waited for the client when `max-handshakes` was reached")]
    Shed,
    /// The same while it waited for its turn to be computed.
    #[error("the handshake waited for the CPU when `max-handshakes` was reached")]
    ShedFromQueue,
    /// Refused before it began: its source has begun too many.
    #[error(
        "the source of the client (/24, /64) has begun more handshakes than `handshake-rate-per-source` allows"
    )]
    ShedByRate,
    /// The token that has the key did not make the signature.
    #[error("the token of the certificate's key did not sign: {0}")]
    SignerFailed(String),
    /// It took too long.
    #[error("the token of the certificate's key did not sign in time")]
    SignerTimeout,
    /// The deadline passed.
    #[error("the handshake did not complete in time")]
    Timeout,
    /// The connection ended in the middle.
    #[error("the client vanished during the handshake")]
    Vanished,
    /// The client does not offer TLS 1.3.
    #[error("the client does not offer TLS 1.3")]
    Version,
}

impl HandshakeError {
    /// Every label, for metrics that start at zero.
    pub const REASONS: [&'static str; 32] = [
        "bad_key_share",
        "client_alert",
        "client_distrusts_us",
        "decrypt_error",
        "internal",
        "malformed",
        "misbehaved",
        "no_common_alpn",
        "no_common_group",
        "no_common_signature_scheme",
        "no_common_suite",
        "no_hello",
        "not_tls",
        "incompatible",
        "plain_http",
        "timeout",
        "vanished",
        "tls_version",
        "shed",
        "client_certificate_denied",
        "client_certificate_expired",
        "client_certificate_missing",
        "client_certificate_untrusted",
        "client_certificate_wrong_purpose",
        "client_certificate_revoked",
        "crl_stale",
        HeaderError::REASONS[0],
        HeaderError::REASONS[1],
        "unknown_server_name",
        "signer_failed",
        "signer_timeout",
        "no_certificate",
    ];

    /// The metric label and log field.
    pub fn reason(&self) -> &'static str {
        Self::REASONS[match self {
            Self::BadKeyShare => 0,
            Self::ClientAlert(_) => 1,
            Self::ClientDistrusts(_) => 2,
            Self::Decrypt => 3,
            Self::Internal => 4,
            Self::Malformed | Self::Oversized => 5,
            Self::Misbehaved(_) => 6,
            Self::NoCommonAlpn => 7,
            Self::NoCommonGroup => 8,
            Self::NoCommonSignature => 9,
            Self::NoCommonSuite => 10,
            Self::NoHello => 11,
            Self::NotTls => 12,
            Self::Incompatible(_) => 13,
            Self::Plaintext => 14,
            Self::Timeout => 15,
            Self::Vanished => 16,
            Self::Version => 17,
            Self::Shed | Self::ShedByRate | Self::ShedFromQueue => 18,
            Self::ClientCertificateDenied => 19,
            Self::ClientCertificateExpired(_) => 20,
            Self::ClientCertificateMissing => 21,
            Self::ClientCertificateUntrusted(_) => 22,
            Self::ClientCertificateWrongPurpose => 23,
            Self::ClientCertificateRevoked => 24,
            Self::CrlStale => 25,
            Self::ProxyHeader(HeaderError::Missing) => 26,
            Self::ProxyHeader(_) => 27,
            Self::UnknownServerName => 28,
            Self::SignerFailed(_) => 29,
            Self::SignerTimeout => 30,
            Self::NoCertificate => 31,
        }]
    }
}

impl HandshakeError {
    /// The label of what came of the client's certificate, if that is why; one of [`Self::client_certificates`].
    pub fn client_certificate(&self) -> Option<&'static str> {
        client_certificate(self.reason())
    }

    /// Every such label.
    pub fn client_certificates() -> impl Iterator<Item = &'static str> {
        Self::REASONS.into_iter().filter_map(client_certificate)
    }

    /// The alert that is due where rustls sent none: it sends one for every error but those of its
    /// deframer, and ours it does not know.
    pub(super) fn alert(&self) -> Option<AlertDescription> {
        match self {
            Self::Malformed | Self::NotTls => Some(AlertDescription::DecodeError),
            Self::Oversized => Some(AlertDescription::RecordOverflow),
            Self::Misbehaved(_) => Some(AlertDescription::UnexpectedMessage),
            Self::Version => Some(AlertDescription::ProtocolVersion),
            Self::Incompatible(_) => Some(AlertDescription::MissingExtension),
            Self::Internal | Self::SignerFailed(_) | Self::SignerTimeout => {
                Some(AlertDescription::InternalError)
            }
            Self::UnknownServerName => Some(AlertDescription::UnrecognisedName),
            _ => None,
        }
    }
}

fn client_certificate(reason: &'static str) -> Option<&'static str> {
    let stale = Some(reason).filter(|reason| *reason == "crl_stale");
    reason.strip_prefix("client_certificate_").or(stale)
}

#[cfg(test)]
mod tests;
