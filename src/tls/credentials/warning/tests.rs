#![allow(clippy::unwrap_used)]
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair,
};

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

#[test]
fn an_issuer_is_checked_for_who_shows_what_it_issued() {
    let warned = |usage: Usage| {
        let (key, ca_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name = rcgen::DistinguishedName::new();
        ca.distinguished_name
            .push(rcgen::DnType::CommonName, "issuer");
        ca.extended_key_usages = vec![usage];
        let root = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
        let ca_pem = ca.signed_by(&ca_key, &root).unwrap().pem();
        let leaf = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let text = PairText {
            cert: format!("{}{ca_pem}", leaf.pem()).into_bytes().into(),
            key: key.serialize_pem().into_bytes().into(),
        };
        let (path, now) = (Path::new("me"), SystemTime::now());
        let pair = Credentials::shown_by(ShownBy::Client, path, path, &text, now).unwrap();
        let warnings = pair.warnings().iter().map(ToString::to_string);
        warnings.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(warned(Usage::ClientAuth), "");
    let said = warned(Usage::ServerAuth);
    let lacks = "its extended key usage lacks clientAuth: servers refuse what it issued";
    assert!(said.contains(lacks), "{said}");
}
