//! `hybridge certs --client`: a pair that a listener admits by the name it was issued for.

use super::*;
use crate::support::openssl::Client;
use crate::support::{Setup, answering};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const BATCH: &str = "spiffe://example.org/ns/ai/sa/batch";

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_every_algorithm_is_admitted_by_its_name_and_by_no_other() {
    let dir = TempDir::new().unwrap();
    certs(dir.path(), &[]).unwrap();
    let ca = dir.path().join("ca.crt");
    let tls = |rule: &str| {
        let ca = ca.display();
        format!("client-auth = \"required\"\nclient-ca = \"{ca}\"\n{rule}")
    };
    for (name, rule) in [
        (BATCH, "allow-uri = [\"spiffe://example.org/ns/ai/**\"]"),
        ("batch.example.org", "allow-dns = [\"*.example.org\"]"),
        ("192.0.2.7", "allow-ip = [\"192.0.2.7\"]"),
        ("batch", "allow-cn = [\"batch\"]"),
    ] {
        let setup = Setup::in_front_of(answering(ANSWER).await);
        let sidecar = setup.tls(&tls(rule)).start();
        for algorithm in Algorithm::value_variants() {
            let algorithm = algorithm.to_possible_value().unwrap();
            let options = ["--force", "--algorithm", algorithm.get_name(), "--client"];
            let admitted = certs(dir.path(), &[&options[..], &[name]].concat()).unwrap();
            let other = certs(dir.path(), &[&options[..], &["other"]].concat()).unwrap();
            for (report, expected) in [(admitted, Ok(())), (other, Err(Some(49)))] {
                let [cert, key] = [&report.cert, &report.key].map(|path| {
                    let text = fs::read(path).unwrap();
                    String::from_utf8(text).unwrap()
                });
                let client = Client::new().presenting(&cert, &key);
                let connected = client.connect(sidecar.address).await.unwrap();
                let result = connected.exchange(REQUEST).await.map(|_| ());
                assert_eq!(result, expected, "{report}");
            }
        }
    }
}

#[test]
fn a_client_is_issued_from_the_ca_there_in_files_of_its_own() {
    let dir = TempDir::new().unwrap();
    let none = refusal(dir.path(), &["--client", BATCH]);
    let remedy = format!(
        "there is no CA in {0} to issue a client's certificate: make one first, with `hybridge certs --dir {0}`",
        dir.path().display()
    );
    assert_eq!(none, remedy);
    certs(dir.path(), &[]).unwrap();
    let before = contents(dir.path());
    let report = certs(dir.path(), &["--client", BATCH]).unwrap();
    let added: Vec<_> = contents(dir.path())
        .into_iter()
        .filter(|file| !before.contains(file))
        .map(|(name, _)| name)
        .collect();
    let stem = "client-spiffe+example.org+ns+ai+sa+batch";
    assert_eq!(added, [format!("{stem}.crt"), format!("{stem}.key")]);
    let mode = fs::metadata(&report.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        refusal(dir.path(), &["--client", BATCH]),
        format!("{stem}.crt exists already: pass --force to replace it, or choose another --dir")
    );
    // The same account of another namespace is another client, for `--force` too.
    let key = fs::read(&report.key).unwrap();
    let other = "spiffe://example.org/ns/b/sa/batch";
    let other = certs(dir.path(), &["--force", "--client", other]).unwrap();
    assert_ne!(other.key, report.key);
    assert_eq!(fs::read(&report.key).unwrap(), key);
    let subject = x509(&report.cert).subject_name().entries().count();
    assert_eq!(subject, 0);
    let text = report.to_string();
    for line in [
        "client      spiffe://example.org/ns/ai/sa/batch\n",
        "call with   curl --cert ",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn a_client_is_not_a_server_and_has_one_name() {
    let dir = TempDir::new().unwrap();
    certs(dir.path(), &[]).unwrap();
    let report = certs(dir.path(), &["--client", BATCH]).unwrap();
    let refused = openssl_trusts(&x509(&report.ca), &x509(&report.cert), "localhost");
    assert!(refused.is_err());
    for words in [
        ["--client", BATCH, "--name", "a"],
        ["--client", "a", "--reuse-ca", "--force"],
    ] {
        let message = args(&words).unwrap_err();
        assert!(message.contains("cannot be used with"), "{message}");
    }
    let message = args(&["--client", "two words"]).unwrap_err();
    assert!(message.contains("neither a URI"), "{message}");
}
