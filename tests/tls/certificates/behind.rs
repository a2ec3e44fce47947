//! What follows the server's certificate, and the warnings about a pair that is served all the same:
//! older labels, names in other string types, certificates out of date or not needed.

mod family;

use std::path::Path;
use std::time::{Duration, SystemTime};

use hybridge::tls::credentials::Credentials;
use openssl::asn1::Asn1Type;
use tempfile::TempDir;

use self::family::{Family, Kind, Make, name, name_as};
use crate::support::pki::write_key;

const DAY: i64 = 86_400;

fn relabel(pem: &str, label: &str) -> String {
    pem.replace(" CERTIFICATE", &format!(" {label}"))
}

#[test]
fn older_labels_of_a_certificate_are_read() {
    let family = Family::new();
    let (leaf, intermediate) = (family.good(), family.intermediate(name("The Intermediate")));
    let plain = family.load(&format!("{leaf}{intermediate}")).unwrap();
    for label in ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
        let behind = format!("{leaf}{}", relabel(&intermediate, label));
        let both = format!("{}{}", relabel(&leaf, label), relabel(&intermediate, label));
        for cert in [behind, both] {
            let loaded = family.load(&cert).unwrap();
            assert_eq!(
                loaded.certified_key().cert,
                plain.certified_key().cert,
                "{label}"
            );
            assert!(loaded.warnings().is_empty(), "{:?}", loaded.warnings());
        }
    }
}

#[test]
fn trust_settings_behind_a_trusted_certificate_are_not_sent() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let family = Family::new();
    let leaf = family.good();
    let body: String = leaf.lines().filter(|line| !line.starts_with('-')).collect();
    let mut der = BASE64_STANDARD.decode(body).unwrap();
    let whole = der.clone();
    // X509_CERT_AUX: a sequence with an alias.
    der.extend_from_slice(&[0x30, 5, 0x0c, 3, b'a', b'b', b'c']);
    let text = BASE64_STANDARD.encode(&der);
    for (label, read) in [("TRUSTED CERTIFICATE", true), ("CERTIFICATE", false)] {
        let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        match family.load(&pem) {
            Ok(loaded) => {
                assert!(read, "{label}");
                assert_eq!(loaded.certified_key().cert[0].as_ref(), whole);
            }
            Err(error) => {
                assert!(!read, "{error}");
                assert!(error.to_string().contains("7 bytes follow it"), "{error}");
            }
        }
    }
}

#[test]
fn names_are_compared_as_rfc_5280_says() {
    let family = Family::new();
    for subject in [
        name_as("The Intermediate", Asn1Type::PRINTABLESTRING),
        name_as("the intermediate", Asn1Type::UTF8STRING),
        name_as(" THE   Intermediate ", Asn1Type::IA5STRING),
        name_as("The Intermediate", Asn1Type::T61STRING),
    ] {
        let chain = format!("{}{}", family.good(), family.intermediate(subject));
        assert_eq!(family.loads(&chain), (2, Vec::new()));
    }
    let other = family.intermediate(name("TheIntermediate"));
    let error = family
        .load(&format!("{}{other}", family.good()))
        .unwrap_err();
    assert_eq!(error.reason(), "chain");
}

#[test]
fn what_is_wrong_behind_a_good_chain_is_a_warning() {
    let family = Family::new();
    let good = format!(
        "{}{}",
        family.good(),
        family.intermediate(name("The Intermediate"))
    );
    let stranger = {
        let (subject, issuer) = (name("Stranger"), name("Stranger"));
        let (key, days, kind) = (&family.root, (-1, 30), Kind::Ca);
        Make {
            subject,
            issuer,
            key,
            by: key,
            days,
            kind,
        }
        .pem()
    };
    for (extra, said) in [
        (
            family.root("Old Root", (-500, -30)),
            "\"CN=Root\", expired on ",
        ),
        (
            family.root("Root", (30, 500)),
            "\"CN=Root\", is not valid before ",
        ),
        (
            stranger,
            "\"CN=Stranger\", issued none of the other certificates",
        ),
        (
            family.good(),
            "\"CN=api.test\", issued none of the other certificates",
        ),
    ] {
        let (sent, warnings) = family.loads(&format!("{good}{extra}"));
        assert_eq!(sent, 3);
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}")
        };
        assert!(warning.contains("tls.crt: PEM block 3 (line "), "{warning}");
        assert!(warning.contains(said), "{warning}");
    }
    let root = family.root("Root", (-1, 500));
    assert_eq!(family.loads(&format!("{good}{root}")), (3, Vec::new()));
}

/// An intermediate CA that has changed its key, or has one in each of two hierarchies: names are not enough.
#[test]
fn issuers_of_one_name_are_told_apart_by_their_keys() {
    let family = Family::new();
    let right = family.intermediate(name("The Intermediate"));
    let other = Family::new().intermediate(name("The Intermediate"));
    let leaf = family.good();
    let none: [&str; 0] = [];
    for (chain, said) in [
        (vec![&right], &none[..]),
        (
            vec![&other],
            &[
                "\"CN=The Intermediate\", has the name of the issuer of PEM block 1 (line 1), but another key",
            ],
        ),
        (vec![&right, &other], &["PEM block 3"]),
        (vec![&other, &right], &["PEM block 2"]),
    ] {
        let behind: String = chain.iter().map(|pem| pem.as_str()).collect();
        let (sent, warnings) = family.loads(&format!("{leaf}{behind}"));
        assert_eq!((sent, warnings.len()), (chain.len() + 1, said.len()));
        for (warning, said) in warnings.iter().zip(said) {
            assert!(warning.contains(said), "{said} is not in {warning}");
            let needless = "\"CN=The Intermediate\", issued none of the other certificates";
            assert_eq!(warning.contains(needless), chain.len() > 1, "{warning}");
        }
    }
}

#[test]
fn certificates_that_no_client_takes_are_warned_of() {
    let family = Family::new();
    for (kind, said) in [
        (Kind::Nameless, "has no subject alternative name"),
        (
            Kind::Client,
            "is not for servers: its extended key usage lacks serverAuth",
        ),
        (Kind::Encipher, "its key usage lacks digitalSignature"),
        (Kind::Ca, "is the certificate of a CA"),
    ] {
        let (_, warnings) = family.loads(&family.server(kind, (-1, 300)));
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}")
        };
        assert!(warning.contains(said), "{warning}");
    }
}

#[test]
fn a_signature_with_sha_1_is_warned_of() {
    let family = Family::new();
    let leaf = Make {
        subject: name("api.test"),
        issuer: name("The Intermediate"),
        key: &family.leaf,
        by: &family.intermediate,
        days: (-1, 300),
        kind: Kind::Server,
    };
    let leaf = leaf.signed_with(openssl::hash::MessageDigest::sha1());
    let intermediate = family.intermediate(name("The Intermediate"));
    for chain in [leaf.clone(), format!("{leaf}{intermediate}")] {
        let (_, warnings) = family.loads(&chain);
        let [warning] = warnings.as_slice() else {
            panic!("{warnings:?}")
        };
        let said = "PEM block 1 (line 1), \"CN=api.test\", is signed with ECDSA with SHA-1, which clients refuse";
        assert!(warning.contains(said), "{warning}");
    }
}

#[test]
fn blocks_that_are_not_used_are_named() {
    let family = Family::new();
    let leaf = family.good();
    let key = String::from_utf8(family.leaf.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let odd = "-----BEGIN SOMETHING ELSE-----\nAAAA\n-----END SOMETHING ELSE-----\n";
    let (_, warnings) = family.loads(&format!("{leaf}{key}{odd}"));
    let [one, other] = warnings.as_slice() else {
        panic!("{warnings:?}")
    };
    assert!(
        one.contains("PEM block 2") && one.ends_with("`PRIVATE KEY`, is not used"),
        "{one}"
    );
    assert!(
        other.ends_with("has a label that is unknown and is not used"),
        "{other}"
    );
    // One file for both is meant to hold both.
    let dir = TempDir::new().unwrap();
    let both = dir.path().join("both.pem");
    write_key(&both, format!("{key}{leaf}"));
    assert!(
        Credentials::load(&both, &both)
            .unwrap()
            .warnings()
            .is_empty()
    );
}

#[test]
fn an_early_or_late_certificate_of_the_server_is_refused_still() {
    let family = Family::new();
    let intermediate = family.intermediate(name("The Intermediate"));
    for (days, reason) in [((-9, -1), "expired"), ((1, 9), "not_yet_valid")] {
        let chain = format!("{}{intermediate}", family.server(Kind::Server, days));
        assert_eq!(family.load(&chain).unwrap_err().reason(), reason);
    }
    let later = SystemTime::now() + Duration::from_secs(950 * DAY as u64);
    assert!(Credentials::load_at(Path::new("none"), Path::new("none"), later).is_err());
}

#[test]
fn check_and_start_say_it() {
    let family = Family::new();
    let dir = TempDir::new().unwrap();
    let key = family.leaf.private_key_to_pem_pkcs8().unwrap();
    write_key(&dir.path().join("tls.key"), key);
    let check = |cert: &str| {
        std::fs::write(dir.path().join("tls.crt"), cert).unwrap();
        let arguments =
            "check --listen 127.0.0.1:0 --upstream 127.0.0.1:9 --cert tls.crt --key tls.key";
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_hybridge"))
            .args(arguments.split(' '))
            .current_dir(dir.path())
            .env_clear()
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(check(&family.good()), "");
    let said = check(&family.server(Kind::Nameless, (-300, 3)));
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].contains("has no subject alternative name"),
        "{said}"
    );
    assert!(
        lines[1].contains("in 3 days and 0 hours: renew it"),
        "{said}"
    );
}
