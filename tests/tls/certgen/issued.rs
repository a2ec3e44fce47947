//! What the certificates say, and what is printed about them.

use super::*;

#[test]
fn certificates_say_what_they_may_be_used_for() {
    let generated = certgen::generate(&Request::default()).unwrap();
    let read = |pem: &str| {
        let pem = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap().1;
        pem.contents
    };
    let (ca, leaf) = (read(&generated.ca_cert), read(&generated.cert));
    let (_, ca) = x509_parser::parse_x509_certificate(&ca).unwrap();
    let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();

    let constraints = ca.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && constraints.value.ca);
    assert_eq!(constraints.value.path_len_constraint, Some(0));
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());

    let constraints = leaf.basic_constraints().unwrap().unwrap();
    assert!(constraints.critical && !constraints.value.ca);
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature() && !usage.value.key_cert_sign());
    let extended = leaf.extended_key_usage().unwrap().unwrap();
    assert!(extended.value.server_auth && !extended.value.client_auth && !extended.value.any);

    let identifier = |certificate: &x509_parser::certificate::X509Certificate<'_>| {
        certificate
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => {
                    Some(id.0.to_vec())
                }
                _ => None,
            })
    };
    let issuer = leaf
        .iter_extensions()
        .find_map(|extension| match extension.parsed_extension() {
            x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => {
                id.key_identifier.as_ref().map(|id| id.0.to_vec())
            }
            _ => None,
        });
    assert!(identifier(&leaf).is_some());
    assert_eq!(issuer, identifier(&ca));
    assert!(issuer.is_some());
}

#[test]
fn serial_numbers_and_cas_differ_each_time() {
    let [one, two] = [(), ()].map(|()| {
        let dir = TempDir::new().unwrap();
        certs(dir.path(), &[]).unwrap().facts
    });
    assert_ne!(one.serial, two.serial);
    assert_eq!((one.serial.len(), two.serial.len()), (32, 32));
    assert_ne!(one.issuer, two.issuer);
    assert!(
        one.issuer.starts_with("CN=hybridge local CA "),
        "{}",
        one.issuer
    );
}

#[test]
fn the_report_says_what_was_written_and_how_to_use_it() {
    let dir = TempDir::new().unwrap();
    let report = certs(dir.path(), &[]).unwrap();
    let until = hybridge::tls::credentials::rfc3339(report.facts.not_after);
    let expected = format!(
        "wrote ca.crt\nwrote ca.key\nwrote tls.crt\nwrote tls.key\n\
         names       localhost, 127.0.0.1, ::1\n\
         algorithm   ECDSA P-256\n\
         valid until {until}\n\
         serve with  hybridge run --cert tls.crt --key tls.key …\n\
         trust with  curl --cacert ca.crt …"
    );
    let text = report
        .to_string()
        .replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(text, expected);
}

#[test]
fn no_private_key_shows_in_debug_output() {
    let generated = certgen::generate(&Request::default()).unwrap();
    let shown = format!("{generated:?}");
    assert!(shown.contains("BEGIN CERTIFICATE"));
    assert!(!shown.contains("PRIVATE KEY"), "{shown}");
    let request = Request {
        names: vec!["api.test".parse::<Name>().unwrap()],
        ..Request::default()
    };
    assert!(format!("{request:?}").contains("api.test"));
}
