#![allow(clippy::unwrap_used)]
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, KeyPair};

use super::*;
use crate::tls::credentials::Credentials;

#[test]
fn a_certificate_is_checked_for_who_shows_it() {
    let warned_of = |params: &CertificateParams, by| {
        let key = KeyPair::generate().unwrap();
        let text = PairText {
            cert: params.self_signed(&key).unwrap().pem().into_bytes().into(),
            key: key.serialize_pem().into_bytes().into(),
        };
        let (path, now) = (Path::new("me"), SystemTime::now());
        let pair = Credentials::shown_by(by, path, path, &text, now).unwrap();
        let warnings = pair.warnings().iter().map(ToString::to_string);
        warnings.collect::<Vec<_>>().join("\n")
    };
    let warned = |usages: &[Usage], by| {
        let mut params = CertificateParams::default();
        params.extended_key_usages = usages.to_vec();
        warned_of(&params, by)
    };
    assert_eq!(warned(&[Usage::ClientAuth], ShownBy::Client), "");
    assert_eq!(warned(&[], ShownBy::Client), "");
    let wrong = warned(&[Usage::ServerAuth], ShownBy::Client);
    assert!(wrong.contains("is not for clients"), "{wrong}");
    let wrong = warned(&[Usage::ClientAuth], ShownBy::Server);
    assert!(wrong.contains("is not for servers"), "{wrong}");
    assert!(wrong.contains("no subject alternative name"), "{wrong}");
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (by, who) in [(ShownBy::Client, "servers"), (ShownBy::Server, "clients")] {
        let wrong = warned_of(&ca, by);
        assert!(wrong.contains("is the certificate of a CA"), "{wrong}");
        assert!(wrong.contains(who), "{wrong}");
    }
}
