//! What ends soon: said once a day for listeners, egresses and revocation lists, however often the
//! configuration is read.

use super::{generation, reload};
use crate::support::pki::{TestPki, client, uri};
use crate::support::process::Process;
use crate::support::{Setup, eventually};
use hybridge::certgen::Algorithm;
use time::{Duration, OffsetDateTime};

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_soon_is_said_once_and_an_egress_that_ended_is_on_the_page() {
    let (now, files) = (OffsetDateTime::now_utc(), tempfile::tempdir().unwrap());
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let file = |name: &str| files.path().join(name).display().to_string();
    let (ca, crl) = (file("ca.crt"), file("clients.crl"));
    std::fs::write(&ca, pki.ca_pem()).unwrap();
    let list = pki.revocation_list(&[7], now + Duration::hours(1));
    std::fs::write(&crl, list).unwrap();
    let mut of_egress = client(&[uri("spiffe://example.org/app")]);
    of_egress.not_before = now - Duration::days(1);
    of_egress.not_after = now + Duration::seconds(14);
    pki.issue(&of_egress).write_to(files.path());
    let (cert, key) = (file("tls.crt"), file("tls.key"));
    let egress = format!(
        "[drain]\ndelay = \"0s\"\n[[egress]]\nname = \"out\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost:9\"\nprotocol = \"tcp\"\n[egress.tls]\nca = \"{ca}\"\ncert = \"{cert}\"\nkey = \"{key}\""
    );
    let setup = Setup::in_front_of("127.0.0.1:9")
        .process(&egress)
        .tls(&format!(
            "client-auth = \"required\"\nclient-ca = \"{ca}\"\nclient-crl = \"{crl}\"\nallow-any = true"
        ));
    let ends = now + Duration::hours(1);
    let names = ["localhost", "127.0.0.1"];
    let leaf = pki.leaf_valid(&names, now - Duration::days(1), ends);
    let process = Process::start_with(&setup, TestPki::new(Algorithm::EcdsaP256), &leaf, &[]);
    let process = process.await.unwrap();
    let said = [
        "\"certificate expires soon\"",
        "\"egress certificate expires soon\"",
        "\"revocation list ends soon\"",
    ];
    for message in said {
        process.logs(message).await;
    }
    let changed = setup.limits("max-streams = 7");
    reload(&process, &changed.toml(&process.dir));
    generation(&process, 2).await;
    for looked in ["certificate unchanged", "authorities for clients unchanged"] {
        process.logs(looked).await;
    }
    for message in said {
        assert_eq!(process.log().matches(message).count(), 1, "{message}");
    }
    let detail = "egress `out`: its certificate has expired, servers that ask for one refuse it";
    eventually("the end of the egress's certificate", async || {
        let (status, page) = process.admin("/readyz").await;
        status == 200 && page.contains(detail)
    })
    .await;
}
