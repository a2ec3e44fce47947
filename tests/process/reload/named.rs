//! What is said of files that are looked at again names the listener or egress, and so do its warnings.

use hybridge::certgen::Algorithm;
use rcgen::KeyPair;
use rustix::process::Signal;
use time::{Duration, OffsetDateTime};

use crate::support::Setup;
use crate::support::pki::{TestPki, ca_params};
use crate::support::process::Process;

/// A CA that has expired.
fn expired() -> String {
    let now = OffsetDateTime::now_utc();
    let mut params = ca_params("old");
    params.not_before = now - Duration::days(9);
    params.not_after = now - Duration::days(1);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().pem()
}

/// The last line of the log with that text.
fn line(process: &Process, text: &str) -> String {
    let log = process.log();
    let line = log.lines().rfind(|line| line.contains(text));
    line.unwrap_or_else(|| panic!("{text}: {log}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_look_and_each_warning_names_its_listener_or_egress() {
    let files = tempfile::tempdir().unwrap();
    let good = TestPki::new(Algorithm::EcdsaP256);
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        // At once: half a file would be another warning.
        std::fs::write(files.path().join("new"), text).unwrap();
        std::fs::rename(files.path().join("new"), &path).unwrap();
        path.display().to_string()
    };
    let clients = file("clients.crt", good.ca_pem());
    let servers = file("servers.crt", good.ca_pem());
    let collector = file("collector.crt", &expired());
    let setup = Setup::in_front_of("127.0.0.1:9")
        .process(&format!(
            "[drain]\ndelay = \"0s\"\n[traces]\nendpoint = \"https://localhost:9\"\nca = \"{collector}\"\n[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:9\"\n[egress.tls]\nca = \"{servers}\""
        ))
        .tls(&format!(
            "client-auth = \"required\"\nclient-ca = \"{clients}\"\nallow-any = true"
        ));
    let process = Process::start(&setup).await;
    let of_collector = line(&process, "traces: ca: ");
    assert!(of_collector.contains("expired at"), "{of_collector}");
    process.signal(Signal::HUP);
    for (unchanged, listener) in [
        ("authorities for clients unchanged", "listener=test"),
        ("egress certificates unchanged", "listener=out"),
    ] {
        process.logs(unchanged).await;
        let said = line(&process, unchanged);
        assert!(said.contains(listener), "{said}");
    }
    let old = expired();
    let client_ca = format!("client-ca: {}", file("clients.crt", &old));
    let ca = format!("\"ca: {}", file("servers.crt", &old));
    file("collector.crt", &expired());
    for (reloaded, warning, names) in [
        (
            "authorities for clients reloaded",
            client_ca,
            "listener=test".to_owned(),
        ),
        (
            "egress certificates reloaded",
            ca,
            "listener=out".to_owned(),
        ),
    ] {
        process.logs(&warning).await;
        for text in [reloaded, &warning] {
            let said = line(&process, text);
            assert!(said.contains(&names), "{said}");
        }
        assert!(line(&process, &warning).contains("expired at"), "{warning}");
    }
    let said = line(&process, "egress certificates reloaded");
    assert!(said.contains(&format!("ca={servers} ")), "{said}");
    process
        .logs("authorities for the collector of traces reloaded")
        .await;
    let collector = format!("ca={collector} ");
    let said = line(&process, "authorities for the collector of traces reloaded");
    assert!(said.contains(&collector), "{said}");
    let warnings = || process.log().matches("\"traces: ca: ").count();
    crate::support::eventually("the warning of the reload", async || warnings() == 2).await;
    file("servers.crt", "none");
    process.logs("egress certificates not reloaded").await;
    let said = line(&process, "egress certificates not reloaded");
    assert!(said.contains("listener=out"), "{said}");
}

/// Clients that ask for that name would be given a certificate that is not for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_loses_a_written_name_is_warned_of() {
    let (pki, files) = (
        TestPki::new(Algorithm::EcdsaP256),
        tempfile::tempdir().unwrap(),
    );
    let further = pki.leaf(&["c.test"]).write_to(files.path());
    let setup = Setup::in_front_of("127.0.0.1:9").tls(&format!(
        "[[listener.tls.certificate]]\ncert = \"{}\"\nkey = \"{}\"\nnames = [\"c.test\"]",
        further.cert.display(),
        further.key.display()
    ));
    let process = Process::start(&setup).await;
    let says = "is no name of the certificate";
    assert!(!process.log().contains(says), "{}", process.log());
    pki.leaf(&["d.test"]).write_to(files.path());
    process.signal(Signal::HUP);
    process.logs(says).await;
    let said = line(&process, says);
    assert!(
        said.contains("listener=test") && said.contains("c.test"),
        "{said}"
    );
}
