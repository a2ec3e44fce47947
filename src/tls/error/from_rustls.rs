//! What rustls says of a handshake, as a reason of ours.

use rustls::{
    AlertDescription, CertificateError, InvalidMessage, PeerIncompatible, PeerMisbehaved,
};

use super::HandshakeError;

impl From<rustls::Error> for HandshakeError {
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
            Tls::NoCertificatesPresented => Self::ClientCertificateMissing,
            Tls::NoApplicationProtocol => Self::NoCommonAlpn,
            Tls::PeerIncompatible(reason) => incompatible(reason),
            Tls::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare) => Self::BadKeyShare,
            Tls::PeerMisbehaved(reason) => Self::Misbehaved(reason),
            Tls::General(cause) if cause == NOTHING_RESOLVED => Self::NoCertificate,
            _ => Self::Internal,
        }
    }
}

/// What rustls says where no certificate was found.
const NOTHING_RESOLVED: &str = "no server certificate chain resolved";

/// A certificate of the client, and the alert that rustls sent for it: denied 49, expired 45, wrong
/// purpose 43, revoked 44, of an unknown CA or revocation status 48, else 42, 46 or 51.
fn certificate(cause: CertificateError) -> HandshakeError {
    match cause {
        CertificateError::ApplicationVerificationFailure => HandshakeError::ClientCertificateDenied,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            HandshakeError::ClientCertificateExpired("has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            HandshakeError::ClientCertificateExpired("is not valid yet")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            HandshakeError::ClientCertificateWrongPurpose
        }
        CertificateError::Revoked => HandshakeError::ClientCertificateRevoked,
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => HandshakeError::CrlStale,
        cause => HandshakeError::ClientCertificateUntrusted(cause),
    }
}

fn alert_received(alert: AlertDescription) -> HandshakeError {
    match alert {
        // OpenSSL says decrypt_error of a certificate that another CA of the same name signed.
        AlertDescription::DecryptError
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => HandshakeError::ClientDistrusts(alert),
        _ => HandshakeError::ClientAlert(alert),
    }
}

fn incompatible(reason: PeerIncompatible) -> HandshakeError {
    match reason {
        PeerIncompatible::NoCipherSuitesInCommon => HandshakeError::NoCommonSuite,
        PeerIncompatible::NoKxGroupsInCommon => HandshakeError::NoCommonGroup,
        PeerIncompatible::NoSignatureSchemesInCommon => HandshakeError::NoCommonSignature,
        // What hellos of TLS 1.0 and 1.1 lack, and of TLS 1.2.
        PeerIncompatible::SignatureAlgorithmsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::Tls13RequiredForQuic => HandshakeError::Version,
        other => HandshakeError::Incompatible(other),
    }
}
