//! Why a connection that we began has no TLS: a closed set, each with the label it is counted under.

use rustls::{
    AlertDescription, CertificateError, InvalidMessage, PeerIncompatible, PeerMisbehaved,
};
use thiserror::Error;

use super::verifier::OtherIdentity;
use crate::tls::unverified::{self, cause};

/// Why a handshake with a server did not complete, or was taken back by it.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The app speaks TLS itself.
    #[error(
        "the app sent a TLS ClientHello to a port that takes plaintext: use http:// or turn TLS off in the app"
    )]
    DoubleTls,
    /// A record that does not decrypt.
    #[error("the server sent a record that does not decrypt")]
    Decrypt,
    /// The library or the configuration failed.
    #[error("the handshake failed inside the proxy: {0}")]
    Internal(String),
    /// Bytes that are TLS but not well-formed.
    #[error("the server sent a malformed message")]
    Malformed,
    /// A record longer than one may be.
    #[error(
        "the server sent a record longer than it may be (16384 bytes and what encryption adds)"
    )]
    Oversized,
    /// Well-formed but against the protocol.
    #[error("the server broke the protocol: {0:?}")]
    Misbehaved(PeerMisbehaved),
    /// The server speaks none of the protocols that were offered.
    #[error(
        "the server speaks none of the protocols offered by ALPN (alert no_application_protocol)"
    )]
    NoCommonAlpn,
    /// The server has no group of the policy, or no suite of it.
    #[error(
        "the server has none of the groups that the policy offers (alert {0:?}): let the server offer one, or choose a policy that admits what it has"
    )]
    NoCommonGroup(AlertDescription),
    /// Bytes that are not TLS.
    #[error("the server does not speak TLS: is this its plaintext port?")]
    NotTls,
    /// Another feature of TLS 1.3 that the server lacks.
    #[error("the server is incompatible: {0:?}")]
    Incompatible(PeerIncompatible),
    /// An alert of the server without a case of its own.
    #[error("the server ended the connection with alert {0:?}")]
    ServerAlert(AlertDescription),
    /// The certificate is outside its validity.
    #[error("the server's certificate {0}: renew it there")]
    ServerExpired(String),
    /// No rule of `peer-ids` matches.
    #[error("{0}")]
    ServerIdMismatch(String),
    /// The certificate is for other names.
    #[error(
        "the server's certificate is for another name: {}; set server-name if that is the one", cause(.0)
    )]
    ServerNameMismatch(CertificateError),
    /// The server does not accept what we showed it.
    #[error("the server refused us (alert {alert:?}): {shown}")]
    ServerRefusedUs {
        /// Its alert.
        alert: AlertDescription,
        /// What it saw of us, and the remedy.
        shown: String,
    },
    /// The certificate is revoked.
    #[error("the server's certificate, or a CA above it, is revoked")]
    ServerRevoked,
    /// `ca` does not vouch for the certificate.
    #[error("the server's certificate cannot be verified with `ca`: {}", cause(.0))]
    ServerUntrusted(CertificateError),
    /// The deadline passed.
    #[error("the handshake did not complete in time")]
    Timeout,
    /// The server does not speak TLS 1.3.
    #[error("the server does not speak TLS 1.3")]
    Version,
    /// The connection ended in the middle.
    #[error("the server closed the connection during the handshake")]
    Vanished,
}

impl ClientError {
    /// Every label, for metrics that start at zero.
    pub const REASONS: [&'static str; 20] = [
        "double_tls",
        "decrypt_error",
        "internal",
        "malformed",
        "misbehaved",
        "no_common_alpn",
        "no_common_group",
        "not_tls",
        "incompatible",
        "server_alert",
        "server_expired",
        "server_id_mismatch",
        "server_name_mismatch",
        "server_refused_us",
        "server_revoked",
        "server_untrusted",
        "timeout",
        "tls_version",
        "vanished",
        "server_wrong_purpose",
    ];

    /// The metric label and log field.
    pub fn reason(&self) -> &'static str {
        Self::REASONS[match self {
            Self::DoubleTls => 0,
            Self::Decrypt => 1,
            Self::Internal(_) => 2,
            Self::Malformed | Self::Oversized => 3,
            Self::Misbehaved(_) => 4,
            Self::NoCommonAlpn => 5,
            Self::NoCommonGroup(_) => 6,
            Self::NotTls => 7,
            Self::Incompatible(_) => 8,
            Self::ServerAlert(_) => 9,
            Self::ServerExpired(_) => 10,
            Self::ServerIdMismatch(_) => 11,
            Self::ServerNameMismatch(_) => 12,
            Self::ServerRefusedUs { .. } => 13,
            Self::ServerRevoked => 14,
            Self::ServerUntrusted(
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
            ) => 19,
            Self::ServerUntrusted(_) => 15,
            Self::Timeout => 16,
            Self::Version => 17,
            Self::Vanished => 18,
        }]
    }

    /// The alert that is due where rustls sent none: it sends one for every error but those of its
    /// deframer, and ours it does not know.
    pub(super) fn alert(&self) -> Option<AlertDescription> {
        match self {
            Self::Malformed => Some(AlertDescription::DecodeError),
            Self::Oversized => Some(AlertDescription::RecordOverflow),
            Self::Misbehaved(_) => Some(AlertDescription::UnexpectedMessage),
            _ => None,
        }
    }

    /// Whether an alert says that a server does not accept a certificate, or the lack of one.
    pub fn is_refusal(alert: AlertDescription) -> bool {
        matches!(
            alert,
            AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied
                | AlertDescription::CertificateRequired
                // OpenSSL's word for a certificate that another CA of the same name signed.
                | AlertDescription::DecryptError
        )
    }
}

impl From<rustls::Error> for ClientError {
    fn from(error: rustls::Error) -> Self {
        use rustls::Error as Tls;
        match error {
            Tls::AlertReceived(alert) => alert_received(alert),
            Tls::DecryptError => Self::Decrypt,
            Tls::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            Tls::InappropriateHandshakeMessage { .. }
            | Tls::InappropriateMessage { .. }
            | Tls::InvalidMessage(_)
            | Tls::PeerSentOversizedRecord => Self::Malformed,
            Tls::InvalidCertificate(cause) => certificate(cause),
            Tls::PeerIncompatible(reason) => incompatible(reason),
            Tls::PeerMisbehaved(reason) => Self::Misbehaved(reason),
            other => Self::Internal(other.to_string()),
        }
    }
}

fn alert_received(alert: AlertDescription) -> ClientError {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            ClientError::NoCommonGroup(alert)
        }
        AlertDescription::ProtocolVersion => ClientError::Version,
        AlertDescription::NoApplicationProtocol => ClientError::NoCommonAlpn,
        other => ClientError::ServerAlert(other),
    }
}

fn certificate(cause: CertificateError) -> ClientError {
    match cause {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => ClientError::ServerExpired(match cause {
            CertificateError::NotValidYet => "is not valid yet".to_owned(),
            CertificateError::NotValidYetContext { .. } => {
                format!("is valid {} only", unverified::cause(&cause))
            }
            CertificateError::ExpiredContext { .. } => {
                format!("has expired {}", unverified::cause(&cause))
            }
            _ => "has expired".to_owned(),
        }),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            ClientError::ServerNameMismatch(cause)
        }
        CertificateError::Revoked => ClientError::ServerRevoked,
        CertificateError::Other(ref other) => match OtherIdentity::of(other) {
            Some(text) => ClientError::ServerIdMismatch(text),
            None => ClientError::ServerUntrusted(cause),
        },
        cause => ClientError::ServerUntrusted(cause),
    }
}

fn incompatible(reason: PeerIncompatible) -> ClientError {
    match reason {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => ClientError::Version,
        other => ClientError::Incompatible(other),
    }
}
