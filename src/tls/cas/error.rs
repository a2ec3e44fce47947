//! Why certificates of CAs cannot be used: what is wrong, in which file and place, and the remedy.

use hybridge_pem::PemError;

use super::Certifies;
use crate::redact::Shown;
use crate::tls::policy::{Profile, Requirement};

/// Why certificates of CAs cannot be used. A `place` is a file and a block of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// Not PEM.
    #[error("{path}: {cause}")]
    Pem {
        /// The file.
        path: Shown,
        /// What is wrong.
        cause: PemError,
    },
    /// No certificate in it.
    #[error(
        "{path} holds no certificate: write the PEM certificates of the CAs that certify {whom}", whom = whom(*certifies)
    )]
    Empty {
        /// The file.
        path: Shown,
        /// Whom they should certify.
        certifies: Certifies,
    },
    /// A private key in a file that anybody may read.
    #[error("{place} is a private key: write only the certificates of the CAs")]
    PrivateKey {
        /// Where.
        place: String,
    },
    /// A block that is no certificate.
    #[error("{place} is no certificate that can be read: {cause}")]
    Certificate {
        /// Where.
        place: String,
        /// What is wrong.
        cause: String,
    },
    /// A leaf: the holder of its key could certify anybody.
    #[error(
        "{place}, `{subject}`, is not a CA (basicConstraints): {remedy}",
        remedy = remedy(*certifies, *of_itself)
    )]
    NotACa {
        /// Where.
        place: String,
        /// Its subject.
        subject: String,
        /// Whom it should certify.
        certifies: Certifies,
        /// Its issuer has the same name.
        of_itself: bool,
    },
    /// Every peer below it would be refused.
    #[error(
        "{place}, `{subject}`, has a name constraint on URIs ({constraint}), which cannot be verified: every {peer} below it would be refused; use a CA without it and fence by {fence}",
        peer = peer(*certifies).0, fence = peer(*certifies).1
    )]
    UriConstraint {
        /// Where.
        place: String,
        /// Its subject.
        subject: String,
        /// The constraint.
        constraint: String,
        /// Whom it certifies.
        certifies: Certifies,
    },
    /// No signature of such a key is verified.
    #[error(
        "{place}, `{subject}`, has a key of {key}, which verifies nothing here: every {peer} that it certifies is refused; {remedy}",
        peer = peer(*certifies).0
    )]
    Key {
        /// Where.
        place: String,
        /// Its subject.
        subject: String,
        /// The algorithm of its key.
        key: String,
        /// Whom it certifies.
        certifies: Certifies,
        /// What to do.
        remedy: &'static str,
    },
    /// A key of a kind that the profile of the listener has not.
    #[error(
        "{place}, `{subject}`, has a key of {key}, but profile `{name}` asks for {wanted} ({rule}): remove it, or change the profile",
        name = profile.name(), rule = Requirement::ClientCertificates.id(), wanted = Requirement::ClientCertificates.wanted(*profile)
    )]
    Profile {
        /// Where.
        place: String,
        /// Its subject.
        subject: String,
        /// The algorithm of its key.
        key: String,
        /// What the listener is held to.
        profile: Profile,
    },
}

fn whom(certifies: Certifies) -> &'static str {
    match certifies {
        Certifies::Clients(_) => "clients",
        Certifies::Servers { .. } => "the servers",
    }
}

/// What messages call one of them, and the setting that names those meant.
fn peer(certifies: Certifies) -> (&'static str, &'static str) {
    match certifies {
        Certifies::Clients(_) => ("client", "allow-uri"),
        Certifies::Servers { .. } => ("server", "peer-ids"),
    }
}

fn remedy(certifies: Certifies, of_itself: bool) -> &'static str {
    match certifies {
        Certifies::Clients(_) => "write the CA that issued it, and let it in by a rule",
        Certifies::Servers { .. } if of_itself => {
            "make it again as one, or with the server's name (subjectAltName) if only this server is to be trusted by it"
        }
        Certifies::Servers { .. } => "write the CA that issued it",
    }
}
