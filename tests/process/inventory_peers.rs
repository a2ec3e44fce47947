//! `hybridge scan` against servers, middleboxes and lists as they should not be: each is a row with a reason.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::X509;
use rcgen::{CertificateParams, CustomExtension, KeyPair};

use crate::inventory::{EMPTY, groups, hybrid, hybridge, scan, server};
use crate::support::hello::alert;
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::{Setup, answering};

async fn sidecar(tls: &str) -> Process {
    Process::start(&Setup::in_front_of(answering(EMPTY).await).tls(tls)).await
}

/// Completes every handshake and closes.
fn accepting(acceptor: SslAcceptor) -> SocketAddr {
    server(move |stream| {
        let acceptor = acceptor.clone();
        thread::spawn(move || drop(acceptor.accept(stream)));
    })
}

/// The certificate is seen with whatever group the server accepts.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_one_group_alone_shows_its_certificate() {
    for (policy, group) in [
        ("hybrid-required", "X25519MLKEM768"),
        ("hybrid-required", "SecP256r1MLKEM768"),
        ("hybrid-required", "SecP384r1MLKEM1024"),
        ("pq-required", "MLKEM1024"),
        ("classical-only", "secp384r1"),
    ] {
        let tls = format!("policy = \"{policy}\"\ngroups = [\"{group}\"]");
        let (endpoint, code) = scan(sidecar(&tls).await.address, &[]).await;
        assert_eq!((groups(&endpoint), code), (vec![group.to_owned()], Some(0)));
        let leaf = &endpoint["certificates"]["chain"][0];
        assert_eq!(leaf["key"], "ECDSA P-256", "{group}: {endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_demands_certificates_is_a_row_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("clients.crt");
    let clients = TestPki::new(hybridge::certgen::Algorithm::EcdsaP256);
    std::fs::write(&ca, clients.ca_pem()).unwrap();
    let tls = format!(
        "client-auth = \"required\"\nallow-any = true\nclient-ca = \"{}\"",
        ca.display()
    );
    let (endpoint, code) = scan(sidecar(&tls).await.address, &[]).await;
    assert_eq!(hybrid(&endpoint), [true, true, true, false]);
    let seen = &endpoint["certificates"];
    assert_eq!((&seen["asks_client"], code), (&true.into(), Some(0)));
    assert_eq!(seen["chain"][0]["key"], "ECDSA P-256");
}

/// A version is refused only by a server that takes none of all suites.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_suite_shows_that_an_old_version_is_accepted() {
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = X509::from_der(params.self_signed(&key).unwrap().der()).unwrap();
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(&leaf).unwrap();
    let key = PKey::private_key_from_der(&key.serialize_der()).unwrap();
    builder.set_private_key(&key).unwrap();
    builder.set_cipher_list("AES256-SHA256").unwrap();
    let address = accepting(builder.build());
    let (endpoint, _) = scan(address, &[]).await;
    assert_eq!(endpoint["versions"], serde_json::json!(["1.3", "1.2"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_examined_is_in_the_bill_with_the_reason() {
    let output = hybridge(&["scan", "127.0.0.1:1", "--format", "cbom"]).await;
    let bill: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let service = &bill["services"][0];
    assert_eq!(service["name"], "127.0.0.1:1");
    let property = &service["properties"][0];
    assert_eq!(property["name"], "hybridge:not-examined");
    assert_eq!(property["value"], "the connection is refused");
}

/// Some servers answer so when the name is missing.
#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_every_hello_is_not_called_classical() {
    let address = server(|mut stream| {
        let _ = stream.read(&mut vec![0; 65_536]);
        let _ = stream.write_all(&alert(40));
    });
    let (endpoint, code) = scan(address, &[]).await;
    assert_eq!((&endpoint["complete"], code), (&false.into(), Some(0)));
    let note = endpoint["notes"][0].as_str().unwrap();
    assert!(note.contains("refused every hello"), "{note}");
    let output = hybridge(&["scan", &address.to_string()]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("hybrid        not known"), "{said}");
    assert!(!said.contains("Give these a hybrid group"), "{said}");
}

/// OpenSSL with a chain of more than a mebibyte.
#[tokio::test(flavor = "multi_thread")]
async fn a_chain_of_a_mebibyte_is_a_note_and_not_the_end() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let long = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![0; 60_000]);
    params.custom_extensions.push(long);
    let leaf = params.self_signed(&key).unwrap();
    let leaf = X509::from_der(leaf.der()).unwrap();
    let mut builder = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(&leaf).unwrap();
    let key = PKey::private_key_from_der(&key.serialize_der()).unwrap();
    builder.set_private_key(&key).unwrap();
    for _ in 0..18 {
        builder.add_extra_chain_cert(leaf.clone()).unwrap();
    }
    let address = accepting(builder.build());
    let (endpoint, code) = scan(address, &[]).await;
    assert!(groups(&endpoint).len() > 2, "{endpoint}");
    assert_eq!(code, Some(0));
    assert_eq!(endpoint["certificates"]["chain"], serde_json::json!([]));
    let note = endpoint["notes"][0].as_str().unwrap();
    assert!(note.starts_with("no certificate was seen: "), "{note}");
}

/// Drops what the client sends behind the first 1,400 bytes of a connection, as a path without large
/// packets does: the client waits in vain.
fn small_path(behind: SocketAddr) -> SocketAddr {
    server(move |mut stream| {
        thread::spawn(move || {
            let mut first = vec![0; 65_536];
            let mut arrived = stream.read(&mut first).unwrap_or(0);
            while arrived < 5 || arrived < 5 + usize::from(u16::from_be_bytes([first[3], first[4]]))
            {
                match stream.read(&mut first[arrived..]) {
                    Ok(count) if count > 0 => arrived += count,
                    _ => return,
                }
            }
            if arrived > 1400 {
                let _ = stream.read(&mut [0; 1]);
                return;
            }
            let mut upstream = TcpStream::connect(behind).unwrap();
            upstream.write_all(&first[..arrived]).unwrap();
            let (mut from, mut to) = (upstream.try_clone().unwrap(), stream.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            let _ = std::io::copy(&mut stream, &mut upstream);
        });
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_drops_large_hellos_is_scanned_and_the_doctor_names_it() {
    let process = sidecar("").await;
    let path = small_path(process.address);
    let (endpoint, code) = scan(path, &["--timeout", "1"]).await;
    assert_eq!(
        (hybrid(&endpoint), code),
        ([true, true, true, false], Some(0))
    );
    assert_eq!(endpoint["certificates"]["chain"][0]["key"], "ECDSA P-256");
    let (endpoint, _) = scan(path, &["--doctor", "--timeout", "1"]).await;
    let verdict = endpoint["doctor"]["verdict"].as_str().unwrap();
    let expected = "large hellos do not arrive, and the HelloRetryRequest path works";
    assert!(verdict.starts_with(expected), "{endpoint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_an_address_is_a_row() {
    let output = hybridge(&["scan", "nobody.invalid", "--format", "json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["endpoints"][0]["target"], "nobody.invalid:443");
    assert_eq!(report["endpoints"][0]["unreachable"], "not_resolved");
    assert_eq!(output.status.code(), Some(1));
    let allowed = hybridge(&["scan", "nobody.invalid", "--allow-unreachable"]).await;
    assert_eq!(allowed.status.code(), Some(0));
}

/// Thousands of endpoints of which one is served, and one line that is none.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_line_among_thousands_is_named_and_the_others_are_scanned() {
    let process = sidecar("").await;
    let mut lines: Vec<String> = (0..3000_u32)
        .map(|number| format!("127.1.{}.{}:1", number / 250, 1 + number % 250))
        .collect();
    lines[1233] = "not an endpoint".to_owned();
    lines[2999] = process.address.to_string();
    let dir = tempfile::tempdir().unwrap();
    let list = dir.path().join("list");
    std::fs::write(&list, lines.join("\n")).unwrap();
    let list = list.to_str().unwrap();
    let more = ["--parallel", "256", "--allow-unreachable"];
    let arguments = [&["scan", "--targets", list, "--format", "json"], &more[..]].concat();
    let output = hybridge(&arguments).await;
    assert_eq!(output.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["totals"]["endpoints"], 2999);
    assert_eq!(report["totals"]["examined"], 1);
    let refused = report["endpoints"].as_array().unwrap().iter();
    let refused = refused.filter(|endpoint| endpoint["unreachable"] == "refused");
    assert_eq!(refused.count(), 2998);
    let named = report["not_tried"][0].as_str().unwrap();
    assert!(
        named.starts_with("--targets, line 1234: no HOST"),
        "{named}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_what_to_do_first_and_by_when() {
    let hybrid_one = sidecar("").await;
    let classical = sidecar("policy = \"classical-only\"").await;
    let endpoints = [
        hybrid_one.address.to_string(),
        classical.address.to_string(),
    ];
    let arguments = ["scan", &endpoints[0], &endpoints[1], "127.0.0.1:1"];
    let more = [
        "--format",
        "html",
        "--keep-secret",
        "7",
        "--allow-unreachable",
    ];
    let output = hybridge(&[&arguments[..], &more[..]].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.starts_with("<!doctype html>"), "{page}");
    for said in [
        "1 of 2 endpoints accept classical key exchange only",
        "<h2>What to do first</h2>",
        ">7 years (given)</td>",
        ">the connection is refused</td>",
        "BSI TR-02102-1",
        "X25519MLKEM768, SecP256r1MLKEM768",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(
        !page.contains("http://") && !page.contains("src="),
        "it needs something else"
    );
}

/// A CA must not look like the server's certificate because the one before it cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_leaf_is_said_in_every_output() {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, "the CA above");
    let ca = parameters.self_signed(&key).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let chain = vec![b"no DER".to_vec().into(), ca.der().clone()];
    let certified = rustls::sign::CertifiedKey::new(chain, key);
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(
            certified,
        )));
    let config = std::sync::Arc::new(config);
    let address = server(move |mut stream| {
        let config = std::sync::Arc::clone(&config);
        thread::spawn(move || {
            let mut tls = rustls::ServerConnection::new(config).unwrap();
            while tls.complete_io(&mut stream).is_ok_and(|(read, _)| read > 0) {}
        });
    });
    let note = "the server's certificate cannot be read: 6 bytes with SHA-256 ";
    for format in ["table", "html", "json", "cbom"] {
        let target = address.to_string();
        let arguments = ["scan", &target, "--timeout", "2", "--format", format];
        let output = hybridge(&arguments).await;
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!said.contains("the CA above"), "{said}");
        assert!(said.contains(note), "{said}");
        match format {
            "table" => assert!(
                said.contains("  certificate   cannot be read, see the note\n"),
                "{said}"
            ),
            "html" => assert!(said.contains(">cannot be read, see the note<"), "{said}"),
            "json" => assert!(said.contains("\"chain\": []"), "{said}"),
            _ => assert!(said.contains("\"hybridge:note\""), "{said}"),
        }
    }
}

/// Nobody writes into the pipe, and the device never ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_a_regular_file_or_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    for name in [pipe.to_str().unwrap(), "/dev/zero"] {
        for arguments in [
            ["scan", "--targets", name],
            ["scan", "--kubectl", name],
            ["scan", "--baseline", name],
        ] {
            let output = hybridge(&arguments).await;
            let said = String::from_utf8(output.stderr).unwrap();
            let says = format!("{name}: it is not a regular file; `-` reads standard input");
            assert!(said.contains(&says), "{said}");
            assert_eq!(output.status.code(), Some(64), "{said}");
        }
        let output = hybridge(&["probe", "https://127.0.0.1:1", "--ca", name]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("it is not a regular file"), "{said}");
    }
}
