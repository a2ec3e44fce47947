//! A configuration that cannot be used, or none to read.

use super::{DRAIN, configuration, generation, reload, streaming};
use crate::support::client::read_until;
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, eventually};
use rustix::process::Signal;

/// A pipe in the place of the file: nobody writes into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_never_ends_is_said_and_the_next_sighup_works() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let file = process.dir.path().join("hybridge.toml");
    std::fs::remove_file(&file).unwrap();
    let mode = rustix::fs::Mode::RUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, mode).unwrap();
    process.signal(Signal::HUP);
    process.logs("it is not a regular file").await;
    let failed = [("result", "failed")];
    process
        .metric_is("hybridge_config_reloads_total", &failed, 1.0)
        .await;
    let (_, page) = process.admin("/readyz").await;
    let says = "the last reload of the configuration failed";
    assert!(page.contains(says), "{page}");
    std::fs::remove_file(&file).unwrap();
    let changed = setup.clone().limits("max-streams = 7");
    reload(&process, &changed.toml(&process.dir));
    generation(&process, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_changes_nothing_and_its_line_is_said() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let mut stream = streaming(&process, process.address).await;
    let good = setup.toml(&process.dir);
    // Everything above the mistake is good, and another listener is asked for.
    let broken = format!("{good}\n[[listener]]\nname = \"new\"\nlisten = \"127.0.0.1:x\"\n");
    let place = format!("hybridge.toml:{}: listener.listen", broken.lines().count());
    reload(&process, &broken);
    process.logs("configuration not reloaded").await;
    let log = process.log();
    let said = log
        .lines()
        .find(|line| line.contains("configuration not reloaded"));
    assert!(
        said.is_some_and(|line| line.contains(&place)),
        "{place}: {log}"
    );
    let failed = [("result", "failed")];
    process
        .metric_is("hybridge_config_reloads_total", &failed, 1.0)
        .await;
    let now = configuration(&process).await;
    assert_eq!(now["generation"], 1, "{now}");
    assert!(now["error"].as_str().unwrap().contains(&place), "{now}");
    assert!(now["error_since"].is_string(), "{now}");
    let (code, page) = process.admin("/readyz").await;
    assert_eq!(code, 200);
    assert!(
        page.contains("the last reload of the configuration failed"),
        "{page}"
    );
    read_until(&mut stream, "data: x").await;

    // A certificate that is missing, and an address that somebody has, are found before anything changes.
    let missing = good.replace("tls.crt", "gone.crt");
    reload(&process, &missing);
    process.logs("gone.crt").await;
    let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listening.local_addr().unwrap();
    let in_use = good.replace(
        "name = \"test\"\nlisten = \"127.0.0.1:0\"",
        &format!("name = \"test\"\nlisten = [\"127.0.0.1:0\", \"{taken}\"]"),
    );
    reload(&process, &in_use);
    process
        .logs(&format!("{taken} is in use by another process"))
        .await;
    assert_eq!(configuration(&process).await["generation"], 1);
    read_until(&mut stream, "data: x").await;

    reload(
        &process,
        &setup.limits("max-streams = 9").toml(&process.dir),
    );
    generation(&process, 2).await;
    assert!(configuration(&process).await["error"].is_null());
    let (_, page) = process.admin("/readyz").await;
    assert_eq!(page, "ready\n");
    read_until(&mut stream, "data: x").await;
}

/// The admin port stays where it is: whatever the file says of it, no listener leads its clients there.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_is_the_running_admin_port_is_refused() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let to_admin = Setup::in_front_of(process.admin).process(DRAIN);
    let moved = to_admin.toml(&process.dir).replacen(
        "[admin]\nlisten = \"127.0.0.1:0\"",
        "[admin]\nlisten = \"127.0.0.1:1\"",
        1,
    );
    let says = format!(
        "listener.upstream: {} is an address of the running admin port",
        process.admin
    );
    for (count, toml) in [to_admin.toml(&process.dir), moved].iter().enumerate() {
        reload(&process, toml);
        eventually("the refusal", async || {
            process.log().matches(&says).count() == count + 1
        })
        .await;
    }
    let taken = setup.toml(&process.dir).replacen(
        "name = \"test\"\nlisten = \"127.0.0.1:0\"",
        &format!("name = \"test\"\nlisten = \"{}\"", process.admin),
        1,
    );
    reload(&process, &taken);
    process.logs("is also taken by listener `test`").await;
    assert_eq!(configuration(&process).await["generation"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_flags_alone_certificates_are_looked_at_and_it_is_said() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address);
    let pki = TestPki::new(setup.algorithm);
    let leaf = pki.leaf(&["localhost", "127.0.0.1"]);
    let process = Process::start_by_flags(stage.address, pki, &leaf).await;
    process.signal(Signal::HUP);
    process.logs("no configuration file").await;
    process.logs("certificate unchanged").await;
    let now = configuration(&process).await;
    assert!(now["file"].is_null() && now["generation"] == 1, "{now}");
    let ok = [("result", "ok")];
    assert_eq!(
        process.metric("hybridge_config_reloads_total", &ok).await,
        0.0
    );
}

/// A change of the file and SIGHUP come together: who renews a certificate does both.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_fails_at_sighup_is_said_and_counted_once() {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address).process(DRAIN);
    let process = Process::start(&setup).await;
    let file = process.dir.path().join("tls.crt");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, "no certificate").unwrap();
    process.signal(Signal::HUP);
    process.logs("certificate not reloaded").await;
    std::fs::write(&file, &good).unwrap();
    process.signal(Signal::HUP);
    // The looks are one after the other: a second report would stand before this.
    process.logs("hold the pair in use again").await;
    let log = process.log();
    assert_eq!(log.matches("certificate not reloaded").count(), 1, "{log}");
    let failed = [("result", "failed")];
    let counted = process.metric("hybridge_credential_reloads_total", &failed);
    assert_eq!(counted.await, 1.0);
    // A later request reports it again.
    std::fs::write(&file, "no certificate").unwrap();
    process.signal(Signal::HUP);
    eventually("the second report", async || {
        process.log().matches("certificate not reloaded").count() == 2
    })
    .await;
    process.signal(Signal::HUP);
    eventually("the third report", async || {
        process.log().matches("certificate not reloaded").count() == 3
    })
    .await;
}
