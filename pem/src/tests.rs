#![allow(clippy::unwrap_used)]

use base64::prelude::{BASE64_STANDARD, Engine as _};

use super::*;

fn ders(text: &str) -> Vec<CertificateDer<'static>> {
    let read = certificates(text.as_bytes()).unwrap();
    read.into_iter()
        .map(|certificate| certificate.der)
        .collect()
}

fn certificate() -> String {
    let made = rcgen::generate_simple_self_signed(vec!["x".to_owned()]);
    made.unwrap().cert.pem()
}

#[test]
fn certificates_are_read_under_each_label_and_behind_a_byte_order_mark() {
    let good = certificate();
    let der = ders(&good);
    assert_eq!(der.len(), 1);
    let old = good.replace("CERTIFICATE", "X509 CERTIFICATE");
    for text in [
        format!("\u{feff}{good}{old}"),
        format!("some words\r\n{old}more words\n{good}").replace('\n', "\r\n"),
    ] {
        let read = ders(&text);
        assert_eq!(read, [der[0].clone(), der[0].clone()], "{text}");
    }
}

#[test]
fn trust_settings_behind_a_certificate_are_left_out() {
    let der = ders(&certificate()).remove(0);
    let body = BASE64_STANDARD.encode([der.as_ref(), &[0x30, 0][..]].concat());
    let block = |label: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    let trusted = ders(&block(TRUSTED));
    assert_eq!(trusted, std::slice::from_ref(&der));
    // Under another label that is no certificate, which its reader says.
    let other = ders(&block("CERTIFICATE"));
    assert_eq!(other[0].len(), der.len() + 2);
    for cut in [&[][..], &[0x30, 0x82, 1], &[0x30, 0x85, 1, 1, 1, 1, 1]] {
        assert_eq!(element(cut), None);
    }
    assert_eq!(element(&[0x30, 2, 1, 1, 9]), Some(4));
}

#[test]
fn what_cannot_be_read_is_an_error_and_not_passed_over() {
    let good = certificate();
    let together = format!("{}{good}", good.trim_end());
    assert!(matches!(
        certificates(together.as_bytes()),
        Err(PemError::EndOfAnother { .. })
    ));
    let doubled = format!("{good}-----{good}");
    assert!(matches!(
        certificates(doubled.as_bytes()),
        Err(PemError::Begin { .. })
    ));
    let cut = format!("{good}-----BEGIN CERTIFICATE-----\nAAAA\n");
    assert!(matches!(
        certificates(cut.as_bytes()),
        Err(PemError::Unterminated { .. })
    ));
    for label in [
        "PKCS7",
        "X.509 CERTIFICATE",
        "X509 CRL",
        "PUBLIC KEY",
        "CERTIFICAT",
    ] {
        let other = good.clone() + &good.replace("CERTIFICATE", label);
        assert!(matches!(
            certificates(other.as_bytes()),
            Err(PemError::NoCertificate {
                at: Position { block: 2, .. },
                ..
            })
        ));
    }
    let damaged = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        certificates(damaged.as_bytes()),
        Err(PemError::Undecodable { .. })
    ));
}

#[test]
fn of_a_bundle_of_others_is_read_what_can_be_read() {
    let good = certificate();
    let (begin, end) = (
        "-----BEGIN CERTIFICATE-----\n",
        "-----END CERTIFICATE-----\n",
    );
    for bad in [
        format!("{begin}!!!!\n{end}"),
        format!("{begin}A\n{end}"),
        begin.to_owned(),
        "-----BEGIN CERTIFICATE--\n".to_owned(),
        "words, and no block\n".to_owned(),
    ] {
        let text = format!("\u{feff}{good}{bad}{good}");
        assert_eq!(readable_certificates(text.as_bytes()).len(), 2, "{bad}");
    }
    assert!(readable_certificates(b"").is_empty());
}

#[test]
fn a_file_has_one_private_key() {
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    private_key(format!("\u{feff}{}{key}", certificate()).as_bytes()).unwrap();
    let of = |text: &str| private_key(text.as_bytes()).unwrap_err();
    assert!(matches!(of(&certificate()), KeyError::Nothing { .. }));
    let two = format!("{key}{key}");
    assert!(matches!(of(&two), KeyError::Several { count: 2, .. }));
    let encrypted = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    assert!(matches!(of(&encrypted), KeyError::Encrypted { .. }));
    let foreign = key.replace("PRIVATE", "OPENSSH PRIVATE");
    assert!(matches!(of(&foreign), KeyError::Form { .. }));
    assert!(matches!(
        of(key.trim_end_matches('\n').strip_suffix('-').unwrap()),
        KeyError::Pem(_)
    ));
}

#[test]
fn keys_and_their_parameters_may_stand_beside_certificates() {
    let good = certificate();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let foreign = key.replace("PRIVATE", "OPENSSH PRIVATE");
    for label in ["EC PARAMETERS", "DH PARAMETERS"] {
        let parameters =
            format!("-----BEGIN {label}-----\nBggqhkjOPQMBBw==\n-----END {label}-----\n");
        assert_eq!(ders(&format!("{parameters}{key}{good}{foreign}")).len(), 1);
    }
}

#[test]
fn a_file_has_one_public_key() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let key = pair.public_key_pem();
    let read = |text: &str| public_key(text.as_bytes());
    let (private, other) = (pair.serialize_pem(), certificate());
    let found = read(&format!("\u{feff}{private}{key}{other}")).unwrap();
    assert_eq!(
        found.as_ref(),
        rcgen::PublicKeyData::subject_public_key_info(&pair)
    );
    let said = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(said(&private), "it holds no public key in PEM");
    let two = said(&format!("{key}{key}"));
    assert_eq!(two, "it holds 2 public keys: leave the one that is meant");
    // With a dash too few it begins no block, and its end is not that of the next.
    let cut = said(&format!("{}{key}", key.replacen('-', "", 1)));
    assert!(cut.contains("ends a block that was never begun"), "{cut}");
}

#[test]
fn a_binary_file_is_told_from_words() {
    let der = ders(&certificate()).remove(0);
    assert_eq!(blocks(&der).err().unwrap(), PemError::Binary);
    let key = rcgen::KeyPair::generate().unwrap().serialize_der();
    assert!(matches!(
        private_key(&key),
        Err(KeyError::Pem(PemError::Binary))
    ));
    for words in ["", "0 certificates", "CAs"] {
        assert_eq!(blocks(words.as_bytes()).unwrap().len(), 0, "{words}");
    }
    // Words before a block may begin with anything.
    assert_eq!(
        certificates(format!("0 \u{e9}\n{}", certificate()).as_bytes())
            .unwrap()
            .len(),
        1
    );
}
