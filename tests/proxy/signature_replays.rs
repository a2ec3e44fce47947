//! A request counts once in a process: under other settings, and at another listener with the same keys.

use rustix::process::Signal;

use crate::signer::{Signer, post};
use crate::support::http::echo_app;
use crate::support::process::Process;
use crate::support::{Setup, Sidecar, eventually};

async fn status(sidecar: &Sidecar) -> serde_json::Value {
    serde_json::from_str(&sidecar.admin("/status").await.1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_forgets_no_signature() {
    let signer = Signer::new();
    let setup = Setup::in_front_of(echo_app().await);
    let section = signer.section("require");
    let process = Process::start(&setup.clone().listener(&section)).await;
    let fields = signer.fields(b"hello", "1", true);
    assert_eq!(post(&process, "http1", &fields, b"hello").await.0, 200);
    for (change, generation) in [
        ("skew = \"6s\"", 2),
        ("skew = \"7s\"\nmax-age = \"90s\"", 3),
    ] {
        let changed = setup.clone().listener(&section).listener(change);
        let file = process.dir.path().join("hybridge.toml");
        std::fs::write(file, changed.toml(&process.dir)).unwrap();
        process.signal(Signal::HUP);
        eventually("the reload", async || {
            status(&process).await["configuration"]["generation"] == generation
        })
        .await;
        let (code, _, why) = post(&process, "http1", &fields, b"hello").await;
        assert!(code == 401 && why.contains("replayed"), "{code} {why}");
    }
}

#[tokio::test]
async fn listeners_with_the_same_keys_remember_together() {
    let (signer, elsewhere) = (Signer::new(), Signer::new());
    for other in [&signer, &elsewhere] {
        let section = signer.section("require");
        let setup = Setup::in_front_of(echo_app().await).listener(&section);
        // The same keys may be in another file.
        let of_other = other.section("require");
        std::fs::write(other.file(), signer.set()).unwrap();
        let mut sidecar = setup.second_listener(&of_other).start();
        let fields = signer.fields(b"hello", "1", true);
        assert_eq!(post(&sidecar, "http1", &fields, b"hello").await.0, 200);
        let page = status(&sidecar).await;
        let second = page["listeners"][1]["addresses"][0].as_str().unwrap();
        sidecar.address = second.parse().unwrap();
        assert_eq!(post(&sidecar, "http1", &fields, b"hello").await.0, 401);
    }
}
