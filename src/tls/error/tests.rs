use super::*;

#[test]
fn hellos_of_old_versions_are_told_from_those_that_lack_something_else() {
    for (lacks, reason) in [
        (
            PeerIncompatible::SignatureAlgorithmsExtensionRequired,
            "tls_version",
        ),
        (PeerIncompatible::Tls12NotOffered, "tls_version"),
        (
            PeerIncompatible::SupportedVersionsExtensionRequired,
            "tls_version",
        ),
        (PeerIncompatible::KeyShareExtensionRequired, "incompatible"),
    ] {
        let error = HandshakeError::from(rustls::Error::PeerIncompatible(lacks));
        assert_eq!(error.reason(), reason);
    }
}
